"""External benchmarks and cross-checks of a run as one document: the same rows for the terminal and a page.

Scores are computed again from rows, never copied from a report; what was not measured is None. Published results stand
beside them with their source, and `same_setup` says whether the two may be compared at all.
"""

from __future__ import annotations

import shlex
from typing import Any

from picochat.core.hashing import digest_of
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.references import Reference, references_of
from picochat.judgement.benchmark_status import BenchmarkStatus, list_statuses
from picochat.judgement.benchmarks import KNOWN, BenchmarkEvidence
from picochat.judgement.documents import value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.harness import HarnessEvidence
from picochat.judgement.rules.external_setup import is_comparable

Row = dict[str, Any]
HIGHER = "higher is better"
MAX_FILES = 100
BY_TASK = frozenset({"core"})
"""Bundles whose tasks are each asked with their own number of examples."""


def describe_benchmarks(evidence: RunEvidence) -> list[Row]:
    """One row a known benchmark, then those of unknown names that lie in the run."""
    found = {benchmark.name: benchmark for benchmark in evidence.benchmarks}
    return [_row(evidence, status, found.get(status.name)) for status in list_statuses(evidence)]


def describe_cross_checks(evidence: RunEvidence) -> list[Row]:
    """One row a task that another program has scored too."""
    return [_cross_check(evidence, found) for found in evidence.harness]


def _row(evidence: RunEvidence, status: BenchmarkStatus, benchmark: BenchmarkEvidence | None) -> Row:
    facts = KNOWN[status.name][0] if status.name in KNOWN else None
    return {
        "name": status.name,
        "status": status.status,
        "why": status.why,
        "score": _score(status),
        "metric": facts.metric if facts else None,
        "direction": HIGHER,
        "chance": facts.chance if facts else None,
        "shots": _shots(facts, status),
        "prompt": facts.prompt if facts else None,
        "items_published": facts.published_items if facts else None,
        "threshold": _threshold(facts),
        "files": _files(benchmark),
        "measured_on": _measured_on(benchmark),
        "references": [_reference(entry, benchmark) for entry in references_of(status.name)] if facts else [],
        "command": run_command(evidence, status.name, benchmark),
    }


def _score(status: BenchmarkStatus) -> Row | None:
    """`error` is half the width of the interval."""
    numbers = status.numbers
    if not numbers:
        return None
    low, high = numbers["interval"]
    return {
        "rate": numbers["rate"],
        "interval": [low, high],
        "error": (high - low) / 2,
        "n": numbers["n"],
        "metric": numbers["metric"],
        "shots": numbers["shots"],
        "adjusted": numbers["adjusted"],
        "adjusted_interval": list(numbers["adjusted_interval"]),
    }


def _shots(facts: BenchmarkFacts | None, status: BenchmarkStatus) -> Row:
    """As the table asks, and as it was asked; None is not asked, or each task of the benchmark has its own."""
    if status.name in BY_TASK:
        return {"table": None, "asked": None, "by_task": True}
    asked = status.numbers["shots"] if status.numbers else None
    return {"table": facts.shots if facts else None, "asked": asked, "by_task": False}


def _threshold(facts: BenchmarkFacts | None) -> Row | None:
    """What a release asks of the chance-adjusted score; None is shown and never judged."""
    if facts is None or facts.adjusted_threshold is None:
        return None
    return {"adjusted": facts.adjusted_threshold, "minimum_n": facts.minimum_n}


def _files(benchmark: BenchmarkEvidence | None) -> Row | None:
    """The version of the task that was asked: its files by their digests, and whether they are the published ones."""
    if benchmark is None or not benchmark.files:
        return None
    digests = sorted(str(value_at(file, "sha256")) for file in benchmark.files)
    return {
        "count": len(digests),
        "digest": digest_of(digests),
        "registered": benchmark.registered,
        "names": [str(value_at(file, "name")) for file in benchmark.files[:MAX_FILES]],
    }


def _measured_on(benchmark: BenchmarkEvidence | None) -> Row | None:
    if benchmark is None or not benchmark.report.present:
        return None
    manifest = benchmark.report.manifest
    named = benchmark.report.value("weights_digest")
    return {
        "weights_digest": named if isinstance(named, str) else None,
        "finished_at": manifest.finished_at if manifest else None,
        "harness": str(benchmark.report.value("harness") or "") or None,
    }


def _reference(reference: Reference, benchmark: BenchmarkEvidence | None) -> Row:
    """`comparable` needs the same set-up and a score of our own on the whole benchmark; None without one."""
    known = benchmark is not None and benchmark.numbers is not None
    comparable = is_comparable(benchmark, reference.model) if benchmark is not None and known else None
    return reference.model_dump(mode="json") | {"comparable": comparable}


def run_command(evidence: RunEvidence, name: str, benchmark: BenchmarkEvidence | None = None) -> str:
    """The command that measures it, with the folder that was read last time where one is known."""
    folder = _folder(benchmark) or "FOLDER"
    words = ["picochat", "eval", "benchmark", name, "--data", folder, "--run", str(evidence.store.root)]
    return shlex.join(words)


def _folder(benchmark: BenchmarkEvidence | None) -> str | None:
    manifest = benchmark.report.manifest if benchmark else None
    outside = [ref.path for ref in manifest.inputs if ref.external and ref.kind == "benchmark"] if manifest else []
    return outside[0].rpartition("/")[0] or None if outside else None


def _cross_check(evidence: RunEvidence, found: HarnessEvidence) -> Row:
    """Whether lm-eval agrees; `agrees` is by the rows, whatever the report says. None where they cannot be used."""
    numbers = found.numbers
    keys = ("items", "max_difference", "tolerance", "beyond_tolerance", "metrics", "problems")
    report = found.report
    measured, shipped = report.value("weights_digest"), evidence.weights.manifest
    return {
        "name": found.name,
        "agrees": found.agrees if numbers else None,
        "problem": found.problem,
        "differing": list(found.differing),
        "stale": shipped is None or measured != shipped.weights_digest if report.present else None,
        "version": report.value("lm_eval", "version"),
        **{key: numbers.get(key) if numbers else None for key in keys},
        "command": shlex.join(["picochat", "eval", "harness", str(evidence.store.root), "--tasks", found.name]),
    }
