"""The benchmark stage: chat checkpoint and a benchmark's local files in; one row an item and the score out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.core.errors import refuse
from picochat.core.jsonio import jsonl_bytes
from picochat.evals.tasks.blimp import BlimpData, BlimpItem, read_blimp, recompute_blimp, score_blimp
from picochat.inference.scoring import score_texts
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.markdown import render_report
from picochat.stages.contract import StageContext
from picochat.stages.subject import CHECKPOINT, Subject, open_subject
from picochat.training.config import MachineConfig

STAGE = "benchmark"
METRIC = "pair, mean over paradigms"


def run(ctx: StageContext, config: BenchmarkConfig, machine: MachineConfig) -> None:
    """Scores every item of the benchmark and writes rows and report.

    Raises `benchmark.*` for missing or broken data, `artifact.*` and `checkpoint.*` for changed inputs, `eval.too_long`
    for a sentence that does not fit into the model's context.
    """
    store, record = ctx.store, ctx.record(STAGE, config)
    data = read_blimp(Path(config.data))
    subject = open_subject(store, record, machine, ctx.ranks)
    _add_data_inputs(record, Path(config.data), data)
    items = limit_items(data.items, config.limit)
    with subject.world.watching():
        rows = _score(ctx, subject, items)
    partial = len(items) < len(data.items)
    ctx.ranks.on_main("the report", lambda: _write(ctx, record, config, subject, data, rows, partial))


def _write(
    ctx: StageContext,
    record: StageRecord,
    config: BenchmarkConfig,
    subject: Subject,
    data: BlimpData,
    rows: list[dict[str, Any]],
    partial: bool,
) -> None:
    """Rows, page and report."""
    store = ctx.store
    folder = layout.benchmark_dir(config.name)
    store.write_evidence(f"{folder}/{layout.ROWS}", jsonl_bytes(rows))
    record.add_output("rows", f"{folder}/{layout.ROWS}")
    body = {
        "name": config.name,
        "weights_digest": subject.loaded.weights_digest,
        "checkpoint": CHECKPOINT,
        "settings": {"limit": config.limit, **subject.settings},
        "rows": f"{folder}/{layout.ROWS}",
        "files": [{"name": f.name, "sha256": f.sha256, "registered": f.registered} for f in data.files],
        "registered": all(file.registered for file in data.files),
        **report_numbers(recompute_blimp(rows)),
    }
    body["partial"] = body["partial"] or partial
    store.write_evidence(f"{folder}/{layout.REPORT_MD}", render_report(body).encode())
    record.add_output("report_md", f"{folder}/{layout.REPORT_MD}")
    manifest = record.manifest(ctx.clock.monotonic(), **subject.environment)
    store.write_report(f"{folder}/{layout.REPORT}", "benchmark_report", body, manifest)
    ctx.events.emit("eval", STAGE, benchmark=config.name, headline=body["headline"])


def limit_items(items: Sequence[BlimpItem], limit: int | None) -> list[BlimpItem]:
    """The first `limit` items of each paradigm, in their order; all of them for None."""
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for item in items:
        seen[item.paradigm] += 1
        if limit is None or seen[item.paradigm] <= limit:
            kept.append(item)
    return kept


def report_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the report that follows from the rows alone."""
    pooled = numbers["pooled"]
    return {
        "items": numbers["n"],
        "partial": numbers["partial"],
        "paradigms": numbers["n_paradigms"],
        "paradigms_published": numbers["paradigms_published"],
        "shots": numbers["shots"],
        "chance": numbers["chance"],
        "adjusted_threshold": numbers["adjusted_threshold"],
        "prompt_form": numbers["prompt"],
        "metric": METRIC,
        "ties": numbers["ties"],
        "headline": {
            "point": numbers["rate"],
            "interval": numbers["interval"],
            "adjusted": numbers["adjusted"],
            "adjusted_interval": numbers["adjusted_interval"],
            "k": pooled["k"],
            "n": pooled["n"],
        },
        "groups": numbers["paradigms"],
    }


def _add_data_inputs(record: StageRecord, folder: Path, data: BlimpData) -> None:
    for file in data.files:
        ref = record.add_input("benchmark", (folder / file.name).resolve())
        if ref.sha256 != file.sha256:
            refuse("artifact.changed", f"{ref.path} changed while it was read")


def _score(ctx: StageContext, subject: Subject, items: Sequence[BlimpItem]) -> list[dict[str, Any]]:
    """Rows with the log-likelihood of each sentence: the sum over its tokens after BOS."""
    done = 0

    def scores(texts: list[str]) -> list[float]:
        nonlocal done
        tok = subject.tokenizer
        found = score_texts(
            subject.loaded.model,
            [([tok.bos], ids) for ids in tok.encode_batch(texts)],
            autocast=subject.loaded.autocast,
            world=subject.world,
        )
        done += len(texts) // 2
        ctx.progress.update(done, len(items), "scoring pairs")
        return found

    return score_blimp(items, scores)
