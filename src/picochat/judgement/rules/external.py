"""External benchmarks. With several the weakest decides: a good score elsewhere does not mend a bad one."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.judgement.benchmarks import BenchmarkEvidence
from picochat.judgement.rules.case import Case, Outcome, not_run

_WORST_FIRST = ("not_run", "block", "warn", "pass")


def judge_present(case: Case) -> Outcome:
    """At least one benchmark with rows. A part of one, another setup, or unregistered files count and warn."""
    found = _scored(case)
    places = tuple((benchmark.report.path, "") for benchmark in found) or ((layout.BENCHMARKS, ""),)
    if not found:
        return not_run(*places, n=0)
    verdict = "warn" if all(benchmark.weak for benchmark in found) else "pass"
    return Outcome(verdict, float(len(found)), case.check.threshold, artifacts=places)


def judge_rows(case: Case) -> Outcome:
    """Items of the smallest benchmark."""
    counts = [(benchmark.numbers["n"], benchmark.rows_path) for benchmark in _scored(case) if benchmark.numbers]
    threshold = case.check.threshold
    if not counts or threshold is None:
        return not_run((layout.BENCHMARKS, ""), n=0)
    least, path = min(counts)
    return Outcome("pass" if least >= threshold else "block", float(least), threshold, least, artifacts=((path, ""),))


def judge_score(case: Case) -> Outcome:
    """The lower bound of the chance-adjusted score is above 0 and its point reaches the threshold of its table.

    A benchmark without a threshold is shown and not judged; one that was asked in a setup of its own warns at best.
    One that lacks items of its published files blocks: which items are shown was decided after they were scored.
    """
    judged = [found for found in _scored(case) if found.facts and found.facts.adjusted_threshold is not None]
    outcomes = [_judge_one(case, benchmark) for benchmark in judged]
    if not outcomes:
        return not_run((layout.BENCHMARKS, ""), n=0)
    return min(outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.verdict))


def _judge_one(case: Case, benchmark: BenchmarkEvidence) -> Outcome:
    assert benchmark.numbers and benchmark.facts and benchmark.facts.adjusted_threshold is not None
    numbers, place = benchmark.numbers, (benchmark.report.path, "/headline")
    if numbers["n"] < max(case.check.minimum_n, benchmark.facts.minimum_n):
        return not_run(place, n=numbers["n"])
    low, high = numbers["adjusted_interval"]
    threshold = benchmark.facts.adjusted_threshold
    reached = low > 0 and numbers["adjusted"] >= threshold and not benchmark.left_out
    verdict = "block" if not reached else "warn" if benchmark.own_setup else "pass"
    places = (place, (benchmark.rows_path, "")) if benchmark.left_out else (place,)
    return Outcome(verdict, numbers["adjusted"], threshold, numbers["n"], (low, high), places)


def _scored(case: Case) -> list[BenchmarkEvidence]:
    return [benchmark for benchmark in case.evidence.benchmarks if benchmark.numbers]
