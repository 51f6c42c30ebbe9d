"""Whether what the model is judged on stands in what it learned from: counts of the honesty report and of its hits.

The largest of three counts, the third of which is a search that is made again where the texts are small enough: a
report that says less than its list of hits, or than the texts hold, is no better for it. A set whose rows are not those
that were scanned was not compared at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.judgement.benchmarks import BenchmarkEvidence
from picochat.judgement.clean_scores import SECTION, build_contamination
from picochat.judgement.documents import Document, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.rescan import rescan_fairly
from picochat.judgement.rules.case import Case, Outcome, not_run, within

CORPUS, SFT = "corpus", "sft"
EVAL, HELDOUT = "eval", "heldout"
PLACE = (layout.HONESTY, f"/{SECTION}/sets")
Hits = dict[tuple[str, str], set[str]]
"""Items by set and by what they were found in."""


def judge_corpus(case: Case) -> Outcome:
    """Eval rows and held-out rows that stand in the corpus."""
    return _count_dirty(case, (EVAL, HELDOUT), CORPUS)


def judge_sft(case: Case) -> Outcome:
    """Eval rows that stand in the rows of fine-tuning."""
    return _count_dirty(case, (EVAL,), SFT)


def judge_heldout(case: Case) -> Outcome:
    """Held-out rows that stand in the rows of fine-tuning, by their words, template, entities or as a whole."""
    return _count_dirty(case, (HELDOUT,), SFT)


def judge_benchmarks(case: Case) -> Outcome:
    """Of the items of the benchmark that fares worst, the share that stands in a training text.

    A benchmark with such items has to reach its threshold on its clean ones too, whatever the share.
    """
    outcomes = [_judge_benchmark(case, benchmark) for benchmark in case.evidence.benchmarks]
    order = ("not_run", "block", "warn", "pass")
    if not outcomes:
        return not_run(PLACE, n=0)
    return min(outcomes, key=lambda found: (order.index(found.verdict), -float(found.measured or 0.0)))


def _judge_benchmark(case: Case, benchmark: BenchmarkEvidence) -> Outcome:
    name = layout.benchmark_dir(benchmark.name)
    entry, place = _scanned_set(case.evidence, name), _place(name)
    if entry is None or not entry["items"]:
        return not_run(place, n=0)
    hits, again = _hits(case.evidence), rescan_fairly(case.evidence)
    found = again.in_any(name) if again else set()
    dirty = max(entry["dirty"], len(hits[name, CORPUS] | hits[name, SFT]), len(found))
    outcome = within(case, dirty / entry["items"], place, n=entry["items"])
    threshold = benchmark.facts.adjusted_threshold if benchmark.facts else None
    clean = value_at(entry, "scores", "score", "clean")
    if not dirty or threshold is None:
        return outcome
    listed = case.evidence.documents[layout.HONESTY].value(SECTION, "sets", name, "dirty_ids") or []
    if found <= set(listed) and clean and clean["adjusted_interval"] and _reaches(clean, threshold):
        return outcome
    return replace(outcome, verdict="block")


def _reaches(clean: dict[str, Any], threshold: float) -> bool:
    return clean["adjusted_interval"][0] > 0 and clean["adjusted"] >= threshold


def _place(name: str) -> tuple[str, str]:
    return layout.HONESTY, f"/{SECTION}/sets/{name.replace('/', '~1')}"


def judge_checkable(case: Case) -> Outcome:
    """Of the items of the set that fares worst, the share that is long enough to be looked for."""
    names = [EVAL, HELDOUT, *(layout.benchmark_dir(benchmark.name) for benchmark in case.evidence.benchmarks)]
    entries = [(entry, name) for name in names if (entry := _scanned_set(case.evidence, name)) and entry["items"]]
    if not entries:
        return not_run(PLACE, n=0)
    share, items, name = min(
        (1 - entry["uncheckable"] / entry["items"], entry["items"], name) for entry, name in entries
    )
    return within(case, share, _place(name), n=items)


def _count_dirty(case: Case, names: Iterable[str], against: str) -> Outcome:
    evidence, counts, items, places = case.evidence, 0, 0, []
    for name in names:
        entry = _scanned_set(evidence, name)
        row = _matrix_row(evidence, name, against)
        if entry is None or row is None:
            return not_run(_place(name), n=0)
        found = max(row["dirty"], len(_hits(evidence)[name, against]), _count_again(evidence, name, against))
        counts, items = counts + found, items + entry["items"]
        if found:
            places.append((layout.HONESTY_HITS, ""))
    outcome = within(case, float(counts), *(dict.fromkeys(places) or [PLACE]))
    return replace(outcome, n=items)


def _count_again(evidence: RunEvidence, name: str, against: str) -> int:
    again = rescan_fairly(evidence)
    return len(again.found.get((name, against), ())) if again else 0


def _report(evidence: RunEvidence) -> Document | None:
    report = evidence.documents.get(layout.HONESTY)
    return report if report is not None and report.usable else None


def _scanned_set(evidence: RunEvidence, name: str) -> dict[str, Any] | None:
    """The counts of a set whose present rows were scanned; None where that is not so."""
    if _report(evidence) is None:
        return None
    entry = build_contamination(evidence)["sets"].get(name)
    if not entry or entry["problem"] or not isinstance(entry["items"], int | float):
        return None
    return entry


def _matrix_row(evidence: RunEvidence, name: str, against: str) -> dict[str, Any] | None:
    report = _report(evidence)
    rows = value_at(report.body, SECTION, "matrix") if report else None
    for row in rows if isinstance(rows, list) else []:
        if value_at(row, "set") == name and value_at(row, "against") == against and isinstance(row.get("dirty"), int):
            return row
    return None


@lru_cache(maxsize=1)
def _hits(evidence: RunEvidence) -> Hits:
    """What the list of hits names."""
    found: Hits = defaultdict(set)
    try:
        for line in iter_jsonl(evidence.store.path(layout.HONESTY_HITS)):
            found[str(value_at(line, "set")), str(value_at(line, "against"))].add(str(value_at(line, "item")))
    except (PicochatError, OSError):
        return found
    return found
