"""Waivers, applied to results: block or warn becomes `waived` while a waiver holds, and nothing else ever does.

What speaks for the integrity of the run and for its honesty cannot be waived, nor can a required check that did not
run: a waiver is a word about a result, and there it has none. A waiver that has no effect is listed with the reason.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

from picochat.artifacts.checks import CheckResult
from picochat.artifacts.waivers import Waiver
from picochat.core.errors import refuse
from picochat.judgement.evidence import RunEvidence

Effect = Literal["waives", "expired", "never waived", "did not run", "nothing to waive"]
NEVER = frozenset(
    {
        "verify.chain",
        "gate.weights_digest",
        "gate.evidence",
        "gate.failpoints",
        "training.ledger",
        "data.split_leak",
        "skills.disjoint",
    }
)
NEVER_BEGIN = "honesty."
WAIVABLE = ("block", "warn")


def is_waivable(check: str) -> bool:
    """Whether a person may let a check go at all."""
    return check not in NEVER and not check.startswith(NEVER_BEGIN)


def effect_of(waiver: Waiver, result: CheckResult | None, judged_on: datetime.date | None) -> Effect:
    """What a waiver does to the result of its check on a day; None is a check that takes no part in the verdict.

    Without a day no waiver holds.
    """
    if not is_waivable(waiver.check):
        return "never waived"
    if judged_on is None or not waiver.holds_on(judged_on):
        return "expired"
    if result is not None and result.verdict == "not_run":
        return "did not run"
    return "waives" if result is not None and result.verdict in WAIVABLE else "nothing to waive"


def apply_waivers(
    evidence: RunEvidence, results: Mapping[str, CheckResult], judged_on: datetime.date | None
) -> tuple[list[CheckResult], list[dict[str, Any]]]:
    """The results in their order, each waived one with its waiver; and every waiver of the run with its effect."""
    found = {waiver.check: waiver for waiver in evidence.waivers[0]}
    effects = {check: effect_of(waiver, results.get(check), judged_on) for check, waiver in found.items()}
    judged = [
        result.model_copy(update={"verdict": "waived", "waiver": found[check]})
        if effects.get(check) == "waives"
        else result
        for check, result in results.items()
    ]
    return judged, [waiver.to_json() | {"effect": effects[check]} for check, waiver in found.items()]


def require_waivable(waiver: Waiver, result: CheckResult | None, today: datetime.date) -> None:
    """Raises `gate.waiver` for a waiver that could not have an effect; `result` is that of the profile, if it has one.

    One of a check that passes is allowed: it says what its person would let go.
    """
    match effect_of(waiver, result, today):
        case "never waived":
            refuse(
                "gate.waiver",
                f"{waiver.check} cannot be waived: the numbers rest on it, or it looks for contamination",
            )
        case "expired":
            refuse(
                "gate.waiver",
                f"--until {waiver.until} is over: today is {today.isoformat()}",
                fix="give a day that is still to come, or today",
            )
        case "did not run":
            refuse("gate.waiver", f"{waiver.check} did not run, so there is no result that could be waived")
        case _:
            return
