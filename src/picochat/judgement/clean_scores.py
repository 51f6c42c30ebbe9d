"""Scores three ways: on all items, on those that stand in no training text, and on those that do.

Computed from stored rows and the ids of the honesty report, so that verify computes the same. No item leaves the full
score; an item that could not be checked is never counted as clean and stands apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.evals.scoring import PASS
from picochat.evals.summarise import rate_of
from picochat.judgement.benchmarks import KNOWN, BenchmarkEvidence
from picochat.judgement.documents import Document, value_at
from picochat.judgement.eval_sets import SOURCES, EvalSet
from picochat.judgement.evidence import RunEvidence

Row = Mapping[str, Any]
Scores = dict[str, dict[str, Any]]
SECTION = "contamination"
COUNTS = ("items", "dirty", "clean", "uncheckable")
SIDES = ("all", "clean", "dirty", "uncheckable")
OTHER_ROWS = "scanned were other rows than these"
NOT_SCANNED = "not scanned"
_RATE = ("k", "n", "rate", "interval")
_BENCHMARK = ("n", "rate", "interval", "adjusted", "adjusted_interval")
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@lru_cache(maxsize=1)
def build_contamination(evidence: RunEvidence) -> dict[str, Any]:
    """By set: how many items are dirty, clean and uncheckable, and the scores on each of them.

    `scanned` is False without a usable report; a set has a `problem` when its rows are not those that were scanned.
    """
    honesty = evidence.documents.get(layout.HONESTY)
    if honesty is None or not honesty.usable:
        return {"scanned": False, "problem": honesty.problem if honesty else "", "sets": {}}
    named = value_at(honesty.body, SECTION, "sets")
    sets = {name: _counts(honesty, name) for name in (named if isinstance(named, dict) else {})}
    for name, found in evidence.eval_sets.items():
        if name in sets or name == "eval":
            sets[name] = _counts(honesty, name) | _eval_scores(evidence, honesty, found)
    for benchmark in evidence.benchmarks:
        name = layout.benchmark_dir(benchmark.name)
        sets[name] = _counts(honesty, name) | _benchmark_scores(evidence, honesty, benchmark)
    return {"scanned": True, "problem": "", "sets": sets}


def _counts(honesty: Document, name: str) -> dict[str, Any]:
    counts = {key: honesty.number(SECTION, "sets", name, key) for key in COUNTS}
    missing = NOT_SCANNED if counts["items"] is None else ""
    return {**counts, "problem": missing, "scores": {}}


def _eval_scores(evidence: RunEvidence, honesty: Document, found: EvalSet) -> dict[str, Any]:
    if found.summary is None or not _is_scanned(honesty, found.name):
        return {}
    source = evidence.digest(SOURCES[found.name])
    if source is None or source.sha256 not in _scanned_digests(honesty):
        return {"problem": OTHER_ROWS}
    return _scores(evidence, honesty, found.name, found.path, _rates_by_row)


def _benchmark_scores(evidence: RunEvidence, honesty: Document, benchmark: BenchmarkEvidence) -> dict[str, Any]:
    """The rows themselves or the very files must have been scanned; else nothing is known of their items."""
    if benchmark.numbers is None or not _is_scanned(honesty, layout.benchmark_dir(benchmark.name)):
        return {}
    rows, scanned = evidence.digest(benchmark.rows_path), _scanned_digests(honesty)
    files = benchmark.report.value("files")
    digests = [value_at(file, "sha256") for file in files] if isinstance(files, list) else []
    if not (rows and rows.sha256 in scanned) and not (digests and set(digests) <= scanned):
        return {"problem": OTHER_ROWS}
    recompute = KNOWN[benchmark.name][1]

    def score(chosen: Sequence[Row]) -> Scores:
        numbers = recompute([dict(row) for row in chosen]) if chosen else {}
        return {"score": {key: numbers.get(key) for key in _BENCHMARK} | {"n": len(chosen)}}

    return _scores(evidence, honesty, layout.benchmark_dir(benchmark.name), benchmark.rows_path, score)


def _is_scanned(honesty: Document, name: str) -> bool:
    return isinstance(value_at(honesty.body, SECTION, "sets", name), dict)


def _scanned_digests(honesty: Document) -> set[str]:
    return {ref.sha256 for ref in honesty.manifest.inputs} if honesty.manifest else set()


def _scores(
    evidence: RunEvidence, honesty: Document, name: str, path: str, score: Callable[[Sequence[Row]], Scores]
) -> dict[str, Any]:
    """{row of the table: {side: numbers}} for the rows of a set."""
    entry = value_at(honesty.body, SECTION, "sets", name)
    try:
        rows = list(iter_jsonl(evidence.store.path(path)))
        parts = split_rows(rows, entry["dirty_ids"], entry["uncheckable_ids"])
        scored = {side: score(part) for side, part in parts.items()}
    except _UNUSABLE as err:
        return {"problem": str(err)[:200] or type(err).__name__}
    return {"scores": {label: {side: scored[side].get(label) for side in SIDES} for label in sorted(scored["all"])}}


def split_rows(rows: Sequence[Row], dirty_ids: Sequence[str], uncheckable_ids: Sequence[str]) -> dict[str, list[Row]]:
    """All rows, and the three parts that they fall into."""
    dirty, uncheckable = set(dirty_ids), set(uncheckable_ids) - set(dirty_ids)
    parts: dict[str, list[Row]] = {side: [] for side in SIDES}
    for row in rows:
        side = "dirty" if row["id"] in dirty else "uncheckable" if row["id"] in uncheckable else "clean"
        parts[side].append(row)
    return parts | {"all": list(rows)}


def _rates_by_row(rows: Sequence[Row]) -> Scores:
    """By category, benign twins apart as in the table of rates."""
    groups: dict[str, list[bool]] = {}
    for row in rows:
        label = "benign" if row["rule"] == "benign" else str(row["category"])
        groups.setdefault(label, []).append(row["verdict"] == PASS)
    return {label: {key: rate_of(passed)[key] for key in _RATE} for label, passed in groups.items()}
