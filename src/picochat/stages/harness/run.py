"""The harness stage: chat checkpoint and local rows in; lm-eval's scores beside our own, and their distance, out.

Both score the same weights and rows, but not with the same code: lm-eval puts prompts together, splits, sums and
averages by its own, over plain forwards of the model.
"""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.core.extras import require_extra
from picochat.core.hashing import digest_of
from picochat.core.jsonio import jsonl_bytes
from picochat.evals.harness.adapter import build_lm
from picochat.evals.harness.asking import Answers, ask_harness
from picochat.evals.harness.compare import compare
from picochat.evals.harness.library import EXTRA, PACKAGE, Library, load_library
from picochat.evals.harness.tasks import HarnessTask
from picochat.stages.contract import StageContext
from picochat.stages.harness.config import HarnessConfig
from picochat.stages.harness.markdown import render_report
from picochat.stages.harness.own import leave_out_long, score_own
from picochat.stages.harness.rows import Rows, read_rows_of
from picochat.stages.subject import CHECKPOINT, Subject, open_subject
from picochat.training.config import MachineConfig

STAGE = "harness"
ATTACHED = "attached"
"""The report is evidence about the weights that it names, added after they were judged or before."""


def run(ctx: StageContext, config: HarnessConfig, machine: MachineConfig) -> None:
    """Scores every item twice and writes rows and report; a disagreement is written, not raised.

    Both compute in float32, whatever the run did: in less a likelihood moves with the batch by more than the tolerance.
    Raises `usage.extra` without lm-eval, `benchmark.*` for broken rows, `artifact.*` and `checkpoint.*` for changed
    inputs, `eval.too_long` when no item fits into the context, `harness.result` for an answer that cannot be read.
    """
    require_extra(PACKAGE, "the cross-check runs EleutherAI's lm-eval", EXTRA)
    store, record = ctx.store, ctx.record(STAGE, config)
    rows = read_rows_of(store, record, config)
    subject = open_subject(store, record, machine.model_copy(update={"precision": "fp32"}), ctx.ranks)
    task, too_long = leave_out_long(rows.task, subject.tokenizer, subject.loaded.model.config.max_seq_len)
    library = load_library()
    count = len(task.items)
    with subject.world.watching():
        ctx.progress.update(0, count, "scoring")
        ours, own = score_own(subject, task, lambda done: ctx.progress.update(done, count, "scoring"))
        ctx.progress.update(0, count, "lm-eval is scoring")
        theirs = ask_harness(library, build_lm(library, subject.loaded, subject.tokenizer), task)
    lines = [mine | other for mine, other in zip(ours, theirs.rows, strict=True)]
    body = build_body(config, subject, library, rows, task, theirs, too_long) | {
        "own": own,
        "comparison": compare(task.kind, lines, theirs.reported, own),
    }
    _write(ctx, record, config, subject, body, lines)


def build_body(
    config: HarnessConfig,
    subject: Subject,
    library: Library,
    rows: Rows,
    task: HarnessTask,
    theirs: Answers,
    too_long: list[str],
) -> dict[str, Any]:
    """What was asked, of which weights, and what lm-eval reports."""
    return {
        "name": config.task,
        "kind": task.kind,
        "status": ATTACHED,
        "weights_digest": subject.loaded.weights_digest,
        "checkpoint": CHECKPOINT,
        "settings": {"limit": config.limit, **subject.settings},
        "rows": f"{layout.harness_dir(config.task)}/{layout.ROWS}",
        "files": rows.files,
        "too_long": too_long,
        "lm_eval": {
            "version": library.version,
            "task": dict(task.config),
            "task_digest": digest_of(dict(task.config)),
            "reported": theirs.reported,
        },
    }


def _write(
    ctx: StageContext,
    record: StageRecord,
    config: HarnessConfig,
    subject: Subject,
    body: dict[str, Any],
    lines: list[dict[str, Any]],
) -> None:
    store, folder = ctx.store, layout.harness_dir(config.task)
    for kind, name, data in (
        ("rows", layout.ROWS, jsonl_bytes(lines)),
        ("report_md", layout.REPORT_MD, render_report(body).encode()),
    ):
        store.write_evidence(f"{folder}/{name}", data)
        record.add_output(kind, f"{folder}/{name}")
    manifest = record.manifest(ctx.clock.monotonic(), **subject.environment, lm_eval=body["lm_eval"]["version"])
    store.write_report(layout.report_path(folder), "harness_report", body, manifest)
    found = body["comparison"]
    ctx.events.emit("eval", STAGE, task=config.task, agree=found["agree"], max_difference=found["max_difference"])
