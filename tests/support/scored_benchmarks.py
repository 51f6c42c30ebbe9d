"""Benchmark reports of a made run: items of any benchmark, answered by a scripted model, as the stage writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.config import Config
from picochat.core.jsonio import jsonl_bytes
from picochat.evals.layouts.catalog import read_items
from picochat.evals.tasks.asking import Scorer, ask_items
from picochat.evals.tasks.facts import TABLE
from picochat.judgement.benchmarks import KNOWN
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.questions import Questions
from picochat.stages.benchmark.report import build_body

Body = dict[str, Any]


def write_scored(
    store: RunStore,
    name: str,
    root: Path,
    scorer: Scorer,
    change: Callable[[Body], None] = lambda body: None,
    **settings: Any,
) -> Body:
    """Rows and report of a benchmark in a run, about the weights of its sft checkpoint; `change` edits the body."""
    config = BenchmarkConfig.from_dict({"name": name, "data": str(root)} | settings)
    data = read_items(name, root)
    rows = ask_items(data.items, TABLE[name], scorer)
    questions = Questions(data.files, len(rows), len(rows), data.notes, lambda scorer, on_done: rows)
    folder = layout.benchmark_dir(name)
    record = StageRecord(store, "benchmark", 1, Config(), 0.0)
    record.add_input("checkpoint", f"{layout.checkpoint_dir(layout.SFT)}/{layout.CKPT_WEIGHTS}")
    for file in data.files:
        record.add_input("benchmark", root / file.name)
    store.write_evidence(f"{folder}/{layout.ROWS}", jsonl_bytes(rows))
    record.add_output("rows", f"{folder}/{layout.ROWS}")
    body = {
        "weights_digest": store.read(layout.report_path(layout.SFT))["weights_digest"],
        "checkpoint": layout.checkpoint_dir(layout.SFT),
        "rows": f"{folder}/{layout.ROWS}",
        **build_body(config, questions, KNOWN[name][1](rows)),
    }
    change(body)
    store.write_report(layout.report_path(folder), "benchmark_report", body, record.manifest(1.0))
    return body
