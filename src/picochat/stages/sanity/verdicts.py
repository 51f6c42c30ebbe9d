"""From a measured number to a check result: the bar, the verdict, and the words of the registry."""

from __future__ import annotations

import math

from picochat.artifacts.checks import CheckResult
from picochat.judgement.sanity_registry import SANITY_CHECKS


def judge(check: str, measured: float, bar: float, n: int) -> CheckResult:
    """Passes when `measured` is at most `bar`. `n` says over how many values; over none it blocks, and so does NaN."""
    if not math.isfinite(measured):
        return fail(check, f"{measured} is no number")
    return _result(check, "pass" if n > 0 and measured <= bar else "block", measured=measured, threshold=bar, n=n)


def fail(check: str, found: str) -> CheckResult:
    """A proof that came to no number, and why that is a fault."""
    return _result(check, "block", measured=found)


def not_run(check: str, reason: str) -> CheckResult:
    """What was not tried, and why: never a pass."""
    return _result(check, "not_run", measured=reason)


def _result(check: str, verdict: str, **values: object) -> CheckResult:
    facts = SANITY_CHECKS[check]
    fixed = {"why": facts.why, "fix": facts.fix, "unit": facts.unit}
    direction = facts.direction if "threshold" in values else ""
    return CheckResult.model_validate({"id": check, "verdict": verdict, "direction": direction} | fixed | values)
