"""The summary stage: judge, then write gate.json, the pages and summary.json. Older records are kept."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core import fs
from picochat.core.clock import utc_today
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_evidence
from picochat.judgement.handover import build_handover
from picochat.judgement.profile import load_profile
from picochat.judgement.summary import build_content, list_artifacts
from picochat.stages.contract import StageContext
from picochat.stages.summary.config import SummaryConfig
from picochat.views.pages import render_pages

STAGE = "summary"


def run(ctx: StageContext, config: SummaryConfig) -> dict[str, Any]:
    """Writes the verdict and the summary, and returns the body of the gate. A blocked run is a result, not an error."""
    evidence = RunEvidence(ctx.store)
    gate = judge_evidence(evidence, load_profile(config.gate_profile), judged_on=utc_today())
    _write_gate(ctx, config, evidence, gate)
    _write_summary(ctx, config, build_content(evidence, gate), build_handover(evidence))
    return gate


def _write_gate(ctx: StageContext, config: SummaryConfig, evidence: RunEvidence, gate: dict[str, Any]) -> None:
    """gate.json names every record that was judged, so a verdict is stale as soon as one of them changes."""
    record = ctx.record(STAGE, config)
    judged = [layout.RUN, layout.WAIVERS, *(path for path, document in evidence.documents.items() if document.present)]
    judged += [found.path for found in evidence.eval_sets.values()] + [found.rows_path for found in evidence.benchmarks]
    for path in dict.fromkeys(judged):
        if ctx.store.has(path):
            record.add_input("judged", path)
    ctx.store.write_report(layout.GATE, "gate", gate, record.manifest(ctx.clock.monotonic()))


def _write_summary(ctx: StageContext, config: SummaryConfig, content: dict[str, Any], more: dict[str, Any]) -> None:
    """The pages first, because summary.json names them."""
    record = ctx.record(STAGE, config)
    record.add_input("gate", layout.GATE)
    for path, text in render_pages(content, more).items():
        ctx.store.write_evidence(path, text.encode())
        record.add_output("page", path)
    # The old summary takes its numbered name first, so that the new one can list it.
    fs.move_aside(ctx.store.path(layout.SUMMARY))
    body = {**content, "artifacts": list_artifacts(ctx.store)}
    ctx.store.write_report(layout.SUMMARY, "summary", body, record.manifest(ctx.clock.monotonic()))
