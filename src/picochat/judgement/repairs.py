"""Where each check is mended and by what: the room of the factory, and the command or the change that mends it.

A fault in the text is a fault of everything that was made from it, so what is mended first stands first in `ROOMS`.
Commands are templates: {run} is this run, {resume} and {new_run} are how it is continued and how one like it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from picochat.artifacts import layout

Room = Literal["data", "tokenizer", "shards", "preflight", "base", "sft", "evaluate", "benchmark", "gate"]
ROOMS: tuple[Room, ...] = ("data", "tokenizer", "shards", "preflight", "base", "sft", "evaluate", "benchmark", "gate")
"""In the order in which they depend on each other: what is mended in one makes everything after it stale."""


@dataclass(frozen=True)
class Change:
    """A key of a new run. `reach`: so much that the measured number reaches its threshold; `times`: a multiple of the
    value that this run has; `say`: the person says."""

    key: str
    how: Literal["reach", "times", "say"]
    factor: float = 1.0


@dataclass(frozen=True)
class Repair:
    """How a check is mended: by `commands` on this run, or by a new run with `changes` or an edited `pack`."""

    room: Room
    commands: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    pack: bool = False
    """Whether the pack is edited before the new run is made."""
    new_run: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether the check's own words are all that can be said: there is no command to give."""
        return not (self.commands or self.new_run)


def _again(room: Room, *changes: Change, pack: bool = False) -> Repair:
    return Repair(room, changes=changes, pack=pack, new_run=True)


_GATE = "picochat gate {run}"
_RESUME = Repair("base", ("{resume}",))
_EVALUATE = Repair("evaluate", ("picochat eval skills {run}", _GATE))
_MEMORY = Repair("evaluate", ("picochat eval memorisation {run}", _GATE))
_BENCHMARK = Repair("benchmark", ("picochat eval benchmark blimp --data FOLDER_WITH_BLIMP --run {run}", _GATE))
_HARNESS = Repair("benchmark", ("picochat eval harness {run} --tasks blimp --data blimp=FOLDER_WITH_BLIMP", _GATE))
_LOOK = ("picochat verify {run}",)
_JUDGE = Repair("gate", (_GATE,))
_PACK = _again("data", pack=True)
_MORE_BASE = _again("base", Change("base.loop.tokens", "times", 2.0))
_ENOUGH_BASE = _again("base", Change("base.loop.tokens", "reach"))
_MORE_SFT = _again("sft", Change("sft.loop.tokens", "times", 2.0))
_PREFLIGHT = _again("preflight")
_DOCTOR = Repair("preflight", ("picochat doctor",))

REPAIRS: dict[str, Repair] = {
    **dict.fromkeys(
        (
            "data.chars",
            "data.documents",
            "data.exact_left",
            "data.granularity",
            "data.guessed",
            "data.licence",
            "data.near_left",
            "data.removed.exact",
            "data.removed.lines",
            "data.removed.near",
            "data.revision",
            "data.split_leak",
            "skills.disjoint",
            "budget.replay",
            "honesty.benchmarks",
            "honesty.checkable",
            "honesty.corpus",
            "honesty.exposure",
            "honesty.extractable",
            "honesty.heldout",
            "honesty.sft",
            "sft.answer_words",
            "sft.categories",
            "sft.duplicate_prompts",
            "sft.exposure",
            "sft.rows",
            "eval.rows",
            "eval.rules",
            "eval.unanswerable",
        ),
        _PACK,
    ),
    "sft.skills": _again("data", Change("data.generate_skills", "say")),
    "eval.skills": _again("data", Change("data.skills.eval_rows_per_skill", "say")),
    "tokenizer.vocab": _again("tokenizer", Change("tokenizer.vocab_size", "say"), Change("model.vocab_size", "say")),
    "tokenizer.bytes_per_token": _again(
        "tokenizer", Change("tokenizer.vocab_size", "times", 2.0), Change("model.vocab_size", "times", 2.0)
    ),
    "data.boundaries": _again("shards", pack=True),
    "preflight": _PREFLIGHT,
    "device.kind": _DOCTOR,
    "device.precision": _again("preflight", Change("machine.precision", "say")),
    "device.attention": _DOCTOR,
    "world.size": Repair("preflight"),
    "memory.fits": _again("preflight", Change("base.loop.micro_batch_size", "times", 0.5)),
    "disk.fits": Repair("preflight"),
    "cost.cap": Repair("preflight"),
    "launch.tokenises_on_gpu": _PREFLIGHT,
    "prediction.present": Repair(
        "preflight",
        (
            "picochat predict ladder {profile} --out-dir LADDER --pack {pack}",
            "picochat predict fit LADDER --target {profile} --out-dir {run}{settings}",
        ),
    ),
    "prediction.inside": Repair("base"),
    "budget.planned": _ENOUGH_BASE,
    "budget.target_ratio": _ENOUGH_BASE,
    "budget.trained": _RESUME,
    "training.completed": _RESUME,
    "training.ledger": _RESUME,
    "training.guard_skips": _again("base", Change("base.loop.lr", "times", 0.5)),
    "optim.lr": _again("base", Change("base.loop.lr", "say")),
    "batch.tokens": _again("base", Change("base.loop.tokens_per_step", "say")),
    "base.beats_ngram": _MORE_BASE,
    "gate.failpoints": _again("base"),
    "sft.lr": _again("sft", Change("sft.loop.lr", "times", 0.5)),
    "sft.too_long": _again("sft", Change("sft.loop.seq_len", "times", 2.0)),
    **dict.fromkeys(
        (
            "sft.fit",
            "sft.fit.skills",
            "sft.heldout_fit",
            "eval.benign_answered",
            "eval.choice_adjusted",
            "eval.first_release",
            "eval.non_choice",
            "eval.prompt_echo",
            "eval.repetition",
            "eval.unsupported",
            "skill.arithmetic",
            "skill.arithmetic.hard",
            "skill.choice",
            "skill.identity",
            "skill.refusal",
            "skill.spelling",
            "skill.spelling.hard",
        ),
        _MORE_SFT,
    ),
    "gate.evidence": _EVALUATE,
    "gate.weights_digest": _EVALUATE,
    "external.digest": _BENCHMARK,
    "external.harness": _HARNESS,
    "external.present": _BENCHMARK,
    "external.rows": _BENCHMARK,
    "external.same_setup": _BENCHMARK,
    "external.score": _MORE_BASE,
    "verify.bounded": Repair("gate"),
    "verify.bundle": Repair("gate"),
    "verify.chain": Repair("gate", _LOOK),
    "verify.checkpoint": _RESUME,
    "verify.export": Repair("gate", ("picochat export hf {run}",)),
    "verify.external": Repair("data"),
    "verify.gate": _JUDGE,
    "verify.left_out": Repair("gate", _LOOK),
    "verify.lineage": _RESUME,
    "verify.rates": _EVALUATE,
    "verify.signature": Repair("gate"),
    "verify.summary": _JUDGE,
    "verify.unlisted": _JUDGE,
}
"""By check id: every check of preflight, gate and verify has its row."""

NOT_MEASURED: dict[str, Repair] = {
    layout.MEMORISATION: _MEMORY,
    layout.MEMORISATION_ROWS: _MEMORY,
    layout.BENCHMARKS: _BENCHMARK,
    layout.HARNESS: _HARNESS,
    layout.HONESTY: _BENCHMARK,
    layout.EVAL: _EVALUATE,
    layout.PREFLIGHT: _PREFLIGHT,
    layout.PREDICTION: Repair("base"),
}
"""What a check that did not run waits for, by the artifact (or its first folder) in which its number was looked for; a
number of another artifact comes when the run goes on."""

ROOM_OF: dict[str, Room] = {
    layout.CORPUS: "data",
    layout.CORPUS_DOCUMENTS: "data",
    layout.CORPUS_MANIFEST: "data",
    layout.CORPUS_DROPPED: "data",
    layout.HONESTY: "data",
    layout.HONESTY_HITS: "data",
    layout.CHAT_TRAIN.partition("/")[0]: "data",
    layout.TOKENIZER: "tokenizer",
    layout.TOKENIZER_REPORT: "tokenizer",
    layout.SHARDS: "shards",
    layout.PREFLIGHT: "preflight",
    layout.PREFLIGHT_MD: "preflight",
    layout.BASE: "base",
    layout.SFT: "sft",
    layout.EVAL: "evaluate",
    layout.MEMORISATION: "evaluate",
    layout.MEMORISATION_ROWS: "evaluate",
    layout.BENCHMARKS: "benchmark",
    layout.HARNESS: "benchmark",
}
"""The room that wrote an artifact, by its path or its first folder; all else is of the gate."""


def place_of(artifact: str) -> str:
    """The key of `ROOM_OF` and `NOT_MEASURED` for an artifact: a root file, or the first folder of its path."""
    return artifact.partition("/")[0]


def room_of(artifact: str) -> Room:
    """The room that wrote an artifact."""
    return ROOM_OF.get(place_of(artifact), "gate")


def repair_of(check: str, verdict: str, artifacts: tuple[str, ...], *, trained: bool = True) -> Repair:
    """How a result is mended. A broken chain is mended where the first broken file, in the order of rooms, was made.

    A run that is not trained cannot be measured yet: what it lacks comes with its data, or when it goes on.
    """
    repair = REPAIRS.get(check, Repair("gate"))
    if not trained and (repair.new_run or repair.by_hand or repair.room == "preflight"):
        return repair
    if not trained and check != "verify.chain":
        return REPAIRS["training.completed"]
    if verdict == "not_run" and artifacts and not repair.by_hand:
        found = NOT_MEASURED.get(place_of(artifacts[0]))
        waits = REPAIRS["training.completed"] if place_of(artifacts[0]) in (layout.BASE, layout.SFT) else repair
        return found or waits
    if check == "verify.chain" and artifacts:
        rooms = {room_of(artifact) for artifact in artifacts}
        return Repair(next(room for room in ROOMS if room in rooms), repair.commands)
    return repair
