"""The benchmark stage: chat checkpoint and a benchmark's local files in; one row an item and the score out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.core.errors import refuse
from picochat.core.jsonio import jsonl_bytes
from picochat.judgement.benchmarks import KNOWN
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.markdown import render_report
from picochat.stages.benchmark.questions import Questions, Rows, read_questions
from picochat.stages.benchmark.report import build_body, require_references
from picochat.stages.benchmark.scorer import ModelScorer
from picochat.stages.contract import StageContext
from picochat.stages.subject import CHECKPOINT, Subject, open_subject
from picochat.training.config import MachineConfig

STAGE = "benchmark"


def run(ctx: StageContext, config: BenchmarkConfig, machine: MachineConfig) -> None:
    """Scores every item of the benchmark and writes rows and report.

    Raises `benchmark.*` for missing or broken data, `config.value` for an option that the benchmark lacks,
    `artifact.*` and `checkpoint.*` for changed inputs, `eval.too_long` for a sentence of a pair that does not fit into
    the model's context; longer items of other benchmarks lose examples, then context, and are counted.
    """
    store, record = ctx.store, ctx.record(STAGE, config)
    require_references(config)
    questions = read_questions(config)
    subject = open_subject(store, record, machine, ctx.ranks)
    _add_data_inputs(record, Path(config.data), questions)
    scorer = ModelScorer(subject, config.max_new_tokens, config.batch_size)
    with subject.world.watching():
        rows = questions.ask(scorer, lambda done: ctx.progress.update(done, questions.asked, f"asking {config.name}"))
    ctx.ranks.on_main("the report", lambda: _write(ctx, record, config, subject, questions, rows))


def _write(
    ctx: StageContext,
    record: StageRecord,
    config: BenchmarkConfig,
    subject: Subject,
    questions: Questions,
    rows: Rows,
) -> None:
    """Rows, page and report."""
    store = ctx.store
    folder = layout.benchmark_dir(config.name)
    store.write_evidence(f"{folder}/{layout.ROWS}", jsonl_bytes(rows))
    record.add_output("rows", f"{folder}/{layout.ROWS}")
    body: dict[str, Any] = {
        "weights_digest": subject.loaded.weights_digest,
        "checkpoint": CHECKPOINT,
        "settings": config.as_dict() | subject.settings,
        "rows": f"{folder}/{layout.ROWS}",
        **build_body(config, questions, KNOWN[config.name][1](rows)),
    }
    store.write_evidence(f"{folder}/{layout.REPORT_MD}", render_report(body).encode())
    record.add_output("report_md", f"{folder}/{layout.REPORT_MD}")
    manifest = record.manifest(ctx.clock.monotonic(), **subject.environment)
    store.write_report(f"{folder}/{layout.REPORT}", "benchmark_report", body, manifest)
    ctx.events.emit("eval", STAGE, benchmark=config.name, headline=body["headline"])


def _add_data_inputs(record: StageRecord, root: Path, questions: Questions) -> None:
    """Every data file is an input from outside, with the digest of the bytes that were read."""
    for file in questions.files:
        path = root / file.name if root.is_dir() else root.with_name(file.name)
        ref = record.add_input("benchmark", path.resolve())
        if ref.sha256 != file.sha256:
            refuse("artifact.changed", f"{ref.path} changed while it was read")
