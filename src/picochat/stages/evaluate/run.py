"""The evaluate stage: chat checkpoint and chat rows in; answers, verdicts and rates out.

Three sets answer three questions: eval (independent rows), fit (rows it was trained on), held-out fit (other wordings
and entities of the same families). They are reported side by side and never added up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import refuse
from picochat.core.jsonio import jsonl_bytes
from picochat.data.conversations import EvalRow
from picochat.evals.summarise import summarise_rows
from picochat.stages.contract import StageContext
from picochat.stages.evaluate.answers import Answerer
from picochat.stages.evaluate.config import EvaluateConfig, SetName
from picochat.stages.evaluate.markdown import render_report
from picochat.stages.evaluate.rows import read_questions, read_training_questions, sample_rows
from picochat.stages.subject import CHECKPOINT, Subject, open_subject
from picochat.training.config import MachineConfig

STAGE = "evaluate"
Answers = dict[SetName, list[dict[str, Any]]]


class EvalSet(NamedTuple):
    """Where a set's questions come from, where its rows go, and which questions are asked."""

    source: str
    rows: str
    read: Callable[[RunStore, EvaluateConfig], list[EvalRow]]


SETS: dict[SetName, EvalSet] = {
    "eval": EvalSet(
        layout.CHAT_EVAL,
        f"{layout.EVAL}/{layout.ROWS}",
        lambda store, config: read_questions(store.path(layout.CHAT_EVAL)),
    ),
    "fit": EvalSet(
        layout.CHAT_TRAIN,
        f"{layout.EVAL}/{layout.FIT_ROWS}",
        lambda store, config: sample_rows(
            read_training_questions(store.path(layout.CHAT_TRAIN)), config.fit_rows_per_category
        ),
    ),
    "heldout": EvalSet(
        layout.CHAT_HELDOUT,
        f"{layout.EVAL}/{layout.HELDOUT_ROWS}",
        lambda store, config: sample_rows(
            read_questions(store.path(layout.CHAT_HELDOUT)), config.heldout_rows_per_category
        ),
    ),
}


def run(ctx: StageContext, config: EvaluateConfig, machine: MachineConfig) -> None:
    """Answers every row of the chosen sets and writes rows and report.

    Raises `artifact.*` and `checkpoint.*` for changed inputs, `chat.*` and `eval.*` for rows that cannot be judged.
    """
    store, record = ctx.store, ctx.record(STAGE, config)
    subject = open_subject(store, record, machine, ctx.ranks)
    _add_chat_inputs(store, record, config)
    answerer = Answerer(subject.loaded, subject.tokenizer, config.batch_size, config.max_new_tokens, subject.world)
    with subject.world.watching():
        answers: Answers = {name: _answer_set(ctx, config, answerer, name) for name in SETS if name in config.sets}
    ctx.ranks.on_main("the report", lambda: _write(ctx, record, config, subject, answers))


def _write(
    ctx: StageContext,
    record: StageRecord,
    config: EvaluateConfig,
    subject: Subject,
    answers: Answers,
) -> None:
    """Rows of each set, the page and the report."""
    store = ctx.store
    sets = {name: _write_set(ctx, record, name, records) for name, records in answers.items()}
    body = {
        "weights_digest": subject.loaded.weights_digest,
        "checkpoint": CHECKPOINT,
        "settings": {
            "greedy": True,
            "batch_size": config.batch_size,
            "max_new_tokens": config.max_new_tokens,
            **subject.settings,
        },
        "sets": sets,
    }
    store.write_evidence(f"{layout.EVAL}/{layout.REPORT_MD}", render_report(body).encode())
    record.add_output("report_md", f"{layout.EVAL}/{layout.REPORT_MD}")
    manifest = record.manifest(ctx.clock.monotonic(), **subject.environment)
    store.write_report(layout.report_path(layout.EVAL), "eval_report", body, manifest)


def _add_chat_inputs(store: RunStore, record: StageRecord, config: EvaluateConfig) -> None:
    """Re-hashes the chat files of the chosen sets against the corpus manifest. Raises `artifact.*`."""
    report = store.read_report(layout.CORPUS_MANIFEST, "corpus_manifest")
    record.add_input("manifest", layout.CORPUS_MANIFEST)
    written = {ref.path: ref for ref in Manifest.from_json(report["manifest"], layout.CORPUS_MANIFEST).outputs}
    for name in config.sets:
        source = SETS[name].source
        if source not in written:
            refuse("artifact.missing", f"{layout.CORPUS_MANIFEST} does not list {source}")
        store.require_unchanged(written[source])
        record.add_input(f"chat_{name}", source)


def _answer_set(ctx: StageContext, config: EvaluateConfig, answerer: Answerer, name: SetName) -> list[dict[str, Any]]:
    rows = SETS[name].read(ctx.store, config)
    return answerer.records(rows, lambda done: ctx.progress.update(done, len(rows), f"answering {name} rows"))


def _write_set(ctx: StageContext, record: StageRecord, name: SetName, records: list[dict[str, Any]]) -> dict[str, Any]:
    source, target, _ = SETS[name]
    ctx.store.write_evidence(target, jsonl_bytes(records))
    record.add_output(f"{name}_rows", target)
    summary = summarise_rows(records)
    ctx.events.emit("eval", STAGE, set=name, n=len(records), mean_skill=summary["mean_skill"])
    return {"rows": target, "source": source, "summary": summary}
