"""The table of sabotages: what is done to a green run, and the check that must block it under skill_release.

Each ends with digests that fit (`cover_up`), where a forger could make them fit: the named check stands alone then.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.redteam import answers
from tests.redteam.scene import Apply, N, Sabotage, Scene
from tests.redteam.signing import edit
from tests.support.green_rows import question
from tests.support.green_shards import put_held_out_shard_into_train, train_on_shards
from tests.support.made_benchmarks import FakeScorer, coin, write_piqa
from tests.support.scored_benchmarks import write_scored

from picochat.artifacts import layout
from picochat.artifacts.waivers import Waiver, write_waivers
from picochat.checkpoint.format import manifest_bytes
from picochat.core.jsonio import parse_json
from picochat.data.contamination.items import text_of_row
from picochat.data.conversations import EvalRow, PairRow
from picochat.data.corpus import CorpusReader
from picochat.judgement.profile import PROFILES

Lines = Callable[[list[dict]], list[dict]]
SABOTAGES: list[Sabotage] = []
LONG_STEPS = 5_000
BLIMP = layout.report_path(layout.benchmark_dir("blimp"))
EVAL_REPORT = layout.report_path(layout.EVAL)
TRAINED = "scripted; really done with --full"


def sabotage(number: str, what: str, check: str, form: str = "made", hole: str = "") -> Callable[[Apply], Apply]:
    def add(apply: Apply) -> Apply:
        SABOTAGES.append(Sabotage(number, what, check, apply, form, hole))
        return apply

    return add


# ---- the text


@sabotage("1", "val documents copied into train", "data.split_leak")
def copy_held_out(scene: Scene) -> None:
    held = text_of_document(scene, 170)
    scene.run.write_corpus(N, text_of=lambda number, text: held if number == 5 else text)
    scene.texts_changed()


@sabotage("2", "near copies of val in train", "data.split_leak")
def copy_held_out_nearly(scene: Scene) -> None:
    words = text_of_document(scene, 170).split()
    words[9] = "another"
    scene.run.write_corpus(N, text_of=lambda number, text: " ".join(words) if number == 5 else text)
    scene.texts_changed()


@sabotage("3", "val range that overlaps train in the shards", "data.split_leak")
def overlap_shards(scene: Scene) -> None:
    run = scene.run
    train_on_shards(run)
    put_held_out_shard_into_train(scene.store)
    run.write_training(layout.BASE)
    scene.cover_up()


def text_of_document(scene: Scene, number: int) -> str:
    reader = CorpusReader(scene.store.path(layout.CORPUS), scene.store.path(layout.CORPUS_DOCUMENTS))
    return reader.text(number)


def asked_text(number: int = 4) -> str:
    return text_of_row(question("eval", "arithmetic", number))


@sabotage("4", "eval rows in the corpus, verbatim, and a waiver", "honesty.corpus")
def eval_rows_in_corpus(scene: Scene) -> None:
    """The honesty lines cannot be waived: a file that says so changes nothing."""
    day = "2026-01-01T00:00:00.000Z"
    waiver = Waiver(
        check="honesty.corpus", by="Somebody", reason="it is only one row", until="2099-12-31", given_at=day
    )
    write_waivers(scene.store, [waiver])
    scene.run.write_corpus(N, text_of=lambda number, text: f"{text} {asked_text()}" if number == 7 else text)
    scene.texts_changed()


@sabotage("5", "the same with HTML, quotes, one word edited", "honesty.corpus")
def eval_rows_disguised(scene: Scene) -> None:
    words = asked_text().split()
    words[-3] = "indeed"
    disguised = f"<p>&ldquo;{' '.join(words[:8])}</b>  {' '.join(words[8:])}&rdquo;</p>".replace("what", "<i>What</i>")
    scene.run.write_corpus(N, text_of=lambda number, text: f"{text} {disguised}" if number == 7 else text)
    scene.texts_changed()


def train_on(scene: Scene, *rows: EvalRow) -> None:
    """Training rows made of questions, with their answers."""
    more = [PairRow(user=row.user or "", assistant=(row.expected or ["ok"])[0], category=row.category) for row in rows]
    scene.run.write_corpus(N, rows_of=lambda path, found: [*found, *more] if path == layout.CHAT_TRAIN else found)
    scene.texts_changed()


@sabotage("6", "eval rows in SFT", "honesty.sft")
def eval_rows_in_sft(scene: Scene) -> None:
    train_on(scene, *(question("eval", "arithmetic", number) for number in range(5)))


@sabotage("7", "held-out rows in SFT train", "honesty.heldout")
def held_out_rows_in_sft(scene: Scene) -> None:
    train_on(scene, *(question("heldout", "spelling", number) for number in range(5)))


@sabotage("8", "held-out entity in an SFT row", "skills.disjoint")
def held_out_entity(scene: Scene) -> None:
    def rows_of(path: str, rows: list[Any]) -> list[Any]:
        if path == layout.CHAT_EVAL:
            return rows
        return [rows[0].model_copy(update={"entities": ["word:bark"]}), *rows[1:]]

    scene.run.write_corpus(N, rows_of=rows_of)
    scene.texts_changed()


@sabotage("9", "1,000 rows a document", "data.granularity")
def bundle_rows(scene: Scene) -> None:
    def change(body: dict[str, Any]) -> None:
        source = body["sources"][0]
        source["import"] = {"rows_read": 1000 * source["read"], "documents": source["read"], "dropped": {}}

    scene.run.write_corpus(N, change=change)
    scene.texts_changed()


@sabotage("10", "shards without boundaries, long run", "data.boundaries")
def no_boundaries(scene: Scene) -> None:
    build_long(scene, boundary_tokens=False)


def build_long(scene: Scene, *, boundary_tokens: bool) -> None:
    """A run of so many steps that documents must be marked."""
    run = scene.build(steps=LONG_STEPS)
    run.write_run()
    run.write_corpus(N)
    run.write_tokenizer()
    run.write_preflight()
    train_on_shards(run, boundary_tokens=boundary_tokens)
    run.write_training(layout.SFT)
    run.write_eval(N)
    run.write_memorisation()
    run.write_benchmark(scene.benchmark)
    run.write_honesty()


# ---- the chain


@sabotage("11", "one byte of an artifact flipped (every artifact: F1)", "verify.chain")
def flip(scene: Scene) -> None:
    path = scene.root / layout.EVAL / layout.ROWS
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@sabotage("12", "a rate edited in a report", "verify.chain")
def edit_rate(scene: Scene) -> None:
    edit(scene.root, EVAL_REPORT, lambda body: body["sets"]["eval"]["summary"]["categories"]["choice"].update(rate=1.0))


@sabotage("13", "report of another run", "verify.chain")
def foreign_report(scene: Scene) -> None:
    for name in (EVAL_REPORT, f"{layout.EVAL}/{layout.ROWS}"):
        shutil.copyfile(scene.other / name, scene.root / name)


@sabotage("14", "eval made on another checkpoint", "gate.weights_digest")
def eval_elsewhere(scene: Scene) -> None:
    elsewhere = scene.run
    elsewhere.weights[layout.SFT] = "5" * 64
    elsewhere.write_eval(N)
    scene.cover_up()


@sabotage("15", "weights swapped after the gate", "gate.weights_digest", TRAINED)
def swap_weights(scene: Scene) -> None:
    run = scene.run
    for name in (EVAL_REPORT, BLIMP):
        assert scene.store.read(name)["weights_digest"] == run.weights[layout.SFT]
    run.seed = 5
    run.write_training(layout.SFT)
    scene.cover_up()


def change_profile(scene: Scene, old: str, new: str) -> None:
    scene.profiles = Path(shutil.copytree(PROFILES, scene.scratch / "profiles"))
    path = scene.profiles / "skill_release.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@sabotage("16a", "thresholds edited", "gate.evidence")
def edit_thresholds(scene: Scene) -> None:
    change_profile(scene, "threshold = 0.75", "threshold = 0.05")


@sabotage("16b", "a check removed", "gate.evidence")
def remove_check(scene: Scene) -> None:
    row = '[[checks]]\nid = "eval.benign_answered"\ncolumn = "block"\nthreshold = 0.8\nminimum_n = 100\n'
    change_profile(scene, row, "")
    path = scene.profiles / "skill_release.toml"
    path.write_text(path.read_text().replace("not_judged = [", 'not_judged = [\n  "eval.benign_answered",', 1))


# ---- benchmarks


@sabotage("17", "benchmark keys shifted by one", "external.digest")
def shift_keys(scene: Scene) -> None:
    shifted = scene.scratch / "blimp.jsonl"
    shifted.write_bytes(b'{"sentence_good": "b", "sentence_bad": "a"}\n')
    scene.run.write_benchmark(shifted)
    scene.run.write_honesty()
    scene.cover_up()


@sabotage("18", "benchmark left out", "external.present")
def leave_out_benchmark(scene: Scene) -> None:
    shutil.rmtree(scene.root / layout.BENCHMARKS)
    scene.run.write_honesty()
    scene.cover_up()


@sabotage("19", "benchmark on 20 items", "external.rows")
def few_items(scene: Scene) -> None:
    scene.run.write_benchmark(scene.benchmark, paradigms=("causative", "drop_argument"))
    scene.run.write_honesty()
    scene.cover_up()


@sabotage("20", "coin-flip model on PIQA", "external.score")
def coin_flip(scene: Scene) -> None:
    shutil.rmtree(scene.root / layout.BENCHMARKS)
    write_scored(scene.store, "piqa", write_piqa(scene.scratch / "piqa", n=400), FakeScorer(coin()))
    scene.run.write_honesty()
    scene.cover_up()


@sabotage("21", "headline metric changed after the run", "gate.evidence")
def other_metric(scene: Scene) -> None:
    edit(scene.root, BLIMP, lambda body: body.update(metric="best paradigm"))
    scene.cover_up()


# ---- the model's answers


def evaluated(number: str, what: str, check: str, change: Any, form: str = TRAINED) -> None:
    @sabotage(number, what, check, form)
    def apply(scene: Scene) -> None:
        scene.run.write_eval(N, change)
        scene.cover_up()


evaluated("22", "model that always answers A", "eval.choice_adjusted", answers.answered(answers.always_first))
evaluated("23", "model that refuses everything", "eval.benign_answered", answers.answered(answers.refuses_all))
evaluated("24", "model that never refuses", "skill.refusal", answers.answered(answers.never_refuses))
evaluated("25", "model that repeats the prompt", "eval.prompt_echo", answers.answered(answers.repeats))


@sabotage("26", "learns rows by heart, fails held-out", "sft.heldout_fit", TRAINED)
def by_heart(scene: Scene) -> None:
    run = scene.run
    run.rates["heldout"] = 0.2
    run.write_eval(N)
    scene.cover_up()


evaluated("27a", 'replies "14" for 4', "skill.arithmetic", answers.answered(answers.one_digit_more), "made")
evaluated("27b", 'replies "category" for cat', "skill.spelling", answers.answered(answers.longer_word), "made")
evaluated(
    "28a", "eval of 5 easy rows", "gate.evidence", lambda name, rows: rows[:5] if name == "eval" else rows, "made"
)
evaluated("28b", "eval file emptied", "gate.evidence", lambda name, rows: [] if name == "eval" else rows, "made")


# ---- the training


def trained(number: str, what: str, check: str, lines: Lines, form: str = TRAINED, **training: Any) -> None:
    @sabotage(number, what, check, form)
    def apply(scene: Scene) -> None:
        scene.run.write_training(layout.BASE, lines, lambda body: body["training"].update(training))
        scene.cover_up()


trained(
    "29", "stopped at half the budget", "budget.trained", lambda lines: lines[:10],
    steps=10, tokens_seen=10 * 512, targets_seen=10 * 500, completed=False,
)  # fmt: skip
PASSES = [{"source": "notes", "unique_tokens": 256, "epoch_tokens": 256, "passes": 40.0}]
trained("30", "40 passes over a small corpus", "budget.replay", list, epochs=40.0, exposure=PASSES)
trained(
    "31", "one step in ten skipped by the guard", "training.guard_skips",
    lambda lines: [line | {"verdict": "skipped"} if line["step"] % 10 == 0 else line for line in lines],
    skipped_steps=2,
)  # fmt: skip
trained("32a", "ledger with a hole", "training.ledger", lambda lines: [line for line in lines if line["step"] != 7])


@sabotage("32b", "armed failpoint", "gate.failpoints", TRAINED)
def armed(scene: Scene) -> None:
    edit(scene.root, layout.RUN, lambda body: body.update(failpoints=["guard.value:nan@3"]))
    for stage in (layout.BASE, layout.SFT):
        digest = scene.store.run_digest()
        edit_checkpoint(scene.root, stage, lambda body, now=digest: body.update(run_digest=now))
    scene.cover_up()


def edit_checkpoint(root: Path, stage: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest of a checkpoint and makes its digest fit."""
    path = root / layout.checkpoint_dir(stage) / layout.CKPT_MANIFEST
    body = parse_json(path.read_bytes(), str(path))
    change(body)
    added = ("manifest_digest", "format_version")
    path.write_bytes(manifest_bytes({key: value for key, value in body.items() if key not in added}))
