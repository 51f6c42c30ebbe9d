"""Sabotages that are a way of training or evaluating, done for real: a tiny run, trained or asked that way.

`Tiny` is an honest tiny run. Its checkpoint answers nothing well, so an eval is asked of a scripted answerer inside the
real stage: `knows_all` is the honest one, against which each sabotage is held.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.redteam.answers import Answer, always_first, never_refuses, refuses_all, repeats
from tests.support.tiny_run import build_run, write_pack

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl, jsonl_bytes
from picochat.core.progress import SilentProgress
from picochat.data.conversations import EvalRow
from picochat.evals.rows import OptionScore, Reply
from picochat.evals.scoring import score_row
from picochat.pipeline.config import RunConfig
from picochat.pipeline.runner import Factory, load_run_record, run_stages
from picochat.stages.contract import StopFlag
from picochat.stages.evaluate.answers import Answerer
from picochat.training import trainer

REALLY = "really trained"
ASKED = "really evaluated, scripted answers"
ROWS = {
    "data.skills.eval_rows_per_skill": 100,
    "data.skills.heldout_rows_per_skill": 30,
    "eval.heldout_rows_per_category": 30,
}
"""As many as a release profile judges."""
SMALL_TOKENS = 5_000
"""About the tokens of 24 documents, of which some are held out."""
CANDIDATES = ("I cannot help with that.", "Sure, here is how.")


@dataclass
class Tiny:
    """`run` is honest and finished; `folder` is empty."""

    run: RunStore
    pack: Path
    folder: Path

    def copy(self) -> RunStore:
        return RunStore(Path(shutil.copytree(self.run.root, self.folder / "copy")))

    def train(self, pack: Path | None = None, **settings: Any) -> RunStore:
        """Another run, from text to verdict."""
        return build_run(self.folder / "trained", pack or self.pack, **ROWS, **settings)


def config_of(store: RunStore) -> RunConfig:
    return RunConfig.from_dict(load_run_record(store).config)


def knows_all(row: dict[str, Any]) -> Reply:
    """The first of some replies that the rule of the row accepts."""
    if row["rule"] == "option":
        scores = [(-1.0, -0.1) if option == row["answer"] else (-9.0, -0.9) for option in row["options"]]
        return Reply("", True, [OptionScore(*pair) for pair in scores])
    texts = [*row["expected"], " ".join(row["expected"]), *CANDIDATES, f"Sure. {' '.join(row['expected'])}."]
    replies = [Reply(text) for text in texts]
    return next((reply for reply in replies if score_row(row, reply).passed), replies[0])


def evaluate(store: RunStore, answer: Answer) -> None:
    """The evaluate stage, asked of `answer`, and of `knows_all` where that has nothing to say."""

    def replies(_: Answerer, rows: list[EvalRow], *ignored: object) -> list[Reply]:
        fields = [row.model_dump(mode="json") for row in rows]
        return [answer(row) or knows_all(row) for row in fields]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answerer, "generate", replies)
        patch.setattr(Answerer, "score_options", replies)
        run_stages(store, config_of(store), Factory(), ("evaluate",))


# ---- each returns the folder to judge


def swap_weights(tiny: Tiny) -> Path:
    store, elsewhere = tiny.copy(), tiny.train(seed=9)
    folder = layout.checkpoint_dir(layout.SFT)
    shutil.rmtree(store.path(folder))
    shutil.copytree(elsewhere.path(folder), store.path(folder))
    return store.root


def asked(answer: Answer) -> Callable[[Tiny], Path]:
    def do(tiny: Tiny) -> Path:
        store = tiny.copy()
        evaluate(store, answer)
        return store.root

    return do


def by_heart(tiny: Tiny) -> Path:
    """Right on every prompt of its training file, and on no other."""
    lessons = {row.get("user") for row in iter_jsonl(tiny.run.path(layout.CHAT_TRAIN))}
    wrong = Reply("nothing of the kind", True, None)
    return asked(lambda row: None if row["user"] in lessons else wrong)(tiny)


class StopHalfway(SilentProgress):
    """Asks the training to stop, as a signal does, when base has taken half of its steps."""

    def __init__(self, flag: StopFlag) -> None:
        self.flag, self.name = flag, ""

    def stage(self, name: str, title: str) -> None:
        self.name = name

    def update(self, done: float, total: float, note: str = "") -> None:
        if self.name == layout.BASE and total and 0.5 <= done / total < 1:
            self.flag.reason = "half is enough"


def stop_halfway(tiny: Tiny) -> Path:
    store, flag = tiny.copy(), StopFlag()
    shutil.rmtree(store.path(layout.BASE))
    with pytest.raises(PicochatError) as stopped:
        run_stages(store, config_of(store), Factory(stop=flag, progress=StopHalfway(flag)), (layout.BASE,))
    assert stopped.value.code == "run.stopped"
    return store.root


def many_passes(tiny: Tiny) -> Path:
    pack = write_pack(tiny.folder / "small", documents=24)
    settings = {"base.loop.tokens": 40 * SMALL_TOKENS, "data.val_fraction": 0.3}
    return tiny.train(pack, **settings).root


@contextmanager
def every_tenth_spoilt() -> Iterator[None]:
    calls = [0]

    def spoil(name: str, value: Any) -> Any:
        calls[0] += name == "guard.value"
        return float("nan") if name == "guard.value" and calls[0] % 10 == 0 else value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "spoil", spoil)
        yield


def skip_steps(tiny: Tiny) -> Path:
    with every_tenth_spoilt():
        return tiny.train().root


def tear_ledger(tiny: Tiny) -> Path:
    store = tiny.copy()
    path = store.path(f"{layout.BASE}/{layout.LEDGER}")
    path.write_bytes(jsonl_bytes([line for line in iter_jsonl(path) if line["step"] != 7]))
    return store.root


def arm_failpoint(tiny: Tiny) -> Path:
    failpoints.arm("guard.value:nan@3")
    try:
        return tiny.train().root
    finally:
        failpoints.disarm()


TRAINED: list[tuple[str, str, str, Callable[[Tiny], Path], str]] = [
    ("15", "weights swapped after the gate", "gate.weights_digest", swap_weights, REALLY),
    ("22", "model that always answers A", "eval.choice_adjusted", asked(always_first), ASKED),
    ("23", "model that refuses everything", "eval.benign_answered", asked(refuses_all), ASKED),
    ("24", "model that never refuses", "skill.refusal", asked(never_refuses), ASKED),
    ("25", "model that repeats the prompt", "eval.prompt_echo", asked(repeats), ASKED),
    ("26", "learns rows by heart, fails held-out", "sft.heldout_fit", by_heart, ASKED),
    ("29", "stopped at half the budget", "budget.trained", stop_halfway, REALLY),
    ("30", "40 passes over a small corpus", "budget.replay", many_passes, REALLY),
    ("31", "one step in ten skipped by the guard", "training.guard_skips", skip_steps, REALLY),
    ("32a", "ledger with a hole", "training.ledger", tear_ledger, REALLY),
    ("32b", "armed failpoint", "gate.failpoints", arm_failpoint, REALLY),
]
