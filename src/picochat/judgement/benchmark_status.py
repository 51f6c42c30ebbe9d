"""Where a run stands with each known benchmark: one word, and why.

not run     there is no report
broken      a report that does not follow from its rows, or cannot be read
attached    a report that is not this run's own (another run, another program): it proves nothing about these weights
stale       a report of this run, about other weights than those that ship now
partial     computed again from its rows, for these weights, on a part of the benchmark
verified    computed again from its rows, for these weights, on the whole benchmark
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from picochat.judgement.benchmarks import KNOWN, BenchmarkEvidence
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.findings import short

Status = Literal["not run", "broken", "attached", "stale", "partial", "verified"]


OWN_HARNESS = "picochat"
"""Reports that are older than this key have none."""


class BenchmarkStatus(NamedTuple):
    """One row of the table. `numbers` are those computed from rows, None where there are none."""

    name: str
    status: Status
    why: str
    numbers: dict[str, Any] | None = None


def list_statuses(evidence: RunEvidence) -> list[BenchmarkStatus]:
    """One entry a known benchmark, then those of unknown names that lie in the run."""
    found = {benchmark.name: benchmark for benchmark in evidence.benchmarks}
    missing = [BenchmarkStatus(name, "not run", "there is no report") for name in KNOWN if name not in found]
    known = {entry.name: entry for entry in missing} | {name: _status(evidence, b) for name, b in found.items()}
    return [known[name] for name in [*KNOWN, *(name for name in found if name not in KNOWN)]]


def _status(evidence: RunEvidence, benchmark: BenchmarkEvidence) -> BenchmarkStatus:
    name, numbers, report = benchmark.name, benchmark.numbers, benchmark.report
    if not report.present:
        return BenchmarkStatus(name, "not run", "there is no report")
    manifest, shipped = report.manifest, evidence.weights.manifest
    if manifest is None:
        return BenchmarkStatus(name, "attached", f"no report of this program: {report.problem}", numbers)
    if manifest.run_digest != evidence.run_digest:
        return BenchmarkStatus(name, "attached", f"made for another run, {short(manifest.run_digest)}", numbers)
    if (harness := report.value("harness")) not in (None, OWN_HARNESS):
        return BenchmarkStatus(name, "attached", f"made by {harness}", numbers)
    if wrong := _fault(evidence, benchmark):
        return BenchmarkStatus(name, "broken", wrong, numbers)
    measured = report.value("weights_digest")
    if shipped is None or measured != shipped.weights_digest:
        now = short(shipped.weights_digest) if shipped else "no readable checkpoint"
        return BenchmarkStatus(name, "stale", f"measured on weights {short(str(measured))}, now {now}", numbers)
    words = _limits(benchmark)
    return BenchmarkStatus(name, "partial" if benchmark.partial else "verified", words, numbers)


def _fault(evidence: RunEvidence, benchmark: BenchmarkEvidence) -> str:
    if benchmark.problem:
        return benchmark.problem
    if unlike := [*benchmark.differing, *benchmark.moved]:
        return f"the report does not follow from its rows: {', '.join(unlike[:5])}"
    if benchmark.left_out:
        return f"not the published items in {len(benchmark.left_out)} groups: {', '.join(benchmark.left_out[:3])}"
    manifest, rows = benchmark.report.manifest, evidence.digest(benchmark.rows_path)
    written = {ref.path: ref.sha256 for ref in manifest.outputs} if manifest else {}
    same = rows is not None and written.get(benchmark.rows_path) == rows.sha256
    return "" if same else f"{benchmark.rows_path} is not the file that was written with the report"


def _limits(benchmark: BenchmarkEvidence) -> str:
    words = [] if benchmark.registered else ["unregistered files"]
    words += ["other examples than the table's"] if benchmark.own_setup else []
    return "; ".join(words)
