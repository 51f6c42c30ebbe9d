"""What a rule is handed and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from picochat.artifacts.checks import CheckResult
from picochat.evals.statistics import judge_rate
from picochat.judgement.documents import Document, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.profile import LoadedProfile, ProfileCheck
from picochat.judgement.registry import CHECKS

Answer = Literal["pass", "warn", "block", "not_run"]


@dataclass(frozen=True)
class Case:
    """One check of one run: the evidence, its row of the profile, the profile itself, and the chain's broken links."""

    evidence: RunEvidence
    check: ProfileCheck
    loaded: LoadedProfile
    broken: list[CheckResult]


@dataclass(frozen=True)
class Outcome:
    """A rule's answer in numbers. `artifacts` are (path, JSON pointer) of where they stand."""

    verdict: Answer
    measured: float | str | None = None
    threshold: float | str | None = None
    n: int | None = None
    interval: tuple[float, float] | None = None
    artifacts: tuple[tuple[str, str], ...] = ()


Rule = Callable[[Case], Outcome]


def not_run(*artifacts: tuple[str, str], n: int | None = None) -> Outcome:
    """Nothing was measured; the artifacts are where it was looked for."""
    return Outcome("not_run", n=n, artifacts=artifacts)


def judge_counts(case: Case, numbers: Any, artifact: tuple[str, str], direction: Literal[">=", "<="] = ">=") -> Outcome:
    """A rate against its threshold with the three answers, from k and n that were computed from rows."""
    k, n = value_at(numbers, "k"), value_at(numbers, "n")
    threshold = case.check.threshold
    if not isinstance(k, int) or not isinstance(n, int) or n == 0 or threshold is None:
        return not_run(artifact, n=n if isinstance(n, int) else None)
    low, high = numbers["interval"]
    verdict = judge_rate(k, n, threshold, direction, case.check.minimum_n)
    return Outcome(verdict, k / n, threshold, n, (low, high), (artifact,))


def count_faults(faults: list[str], *artifacts: tuple[str, str], n: int | None = None) -> Outcome:
    """Passes at none; the first faults stand in `artifacts` beside their files."""
    return Outcome("block" if faults else "pass", float(len(faults)), 0.0, n, artifacts=artifacts)


def within(case: Case, value: float | None, *artifacts: tuple[str, str], n: int | None = None) -> Outcome:
    """A plain number against the profile's threshold, and against the stricter one from which on it warns."""
    threshold, warn_at = case.check.threshold, case.check.warn_at
    if value is None or threshold is None or (n is not None and n < case.check.minimum_n):
        return not_run(*artifacts, n=n)
    low_is_good = CHECKS[case.check.id].direction == "<="
    misses = (lambda limit: value > limit) if low_is_good else (lambda limit: value < limit)
    verdict = "block" if misses(threshold) else "warn" if warn_at is not None and misses(warn_at) else "pass"
    return Outcome(verdict, float(value), threshold, n, artifacts=artifacts)


def at_least(case: Case, value: float | None, report: Document, pointer: str) -> Outcome:
    """A plain number against its threshold; no number is no answer."""
    threshold = case.check.threshold
    if value is None or threshold is None:
        return not_run((report.path, pointer))
    return Outcome("pass" if value >= threshold else "block", value, threshold, artifacts=((report.path, pointer),))
