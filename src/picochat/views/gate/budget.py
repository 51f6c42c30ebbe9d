"""The token budget of base training: what a model of this size wants, what is planned, what there is, what was used.

Numbers come from the plan, the reports and preflight; here they are only divided by each other. Unknown is None.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from picochat.core.units import format_count
from picochat.views.checks import UNKNOWN

MARKS = (0.9, 1.0)
"""Shares of the target: below the first a release is blocked, the second is the target itself."""


class Budget(NamedTuple):
    """`asked_tokens` is what the configuration says, by which a gate judges the ratio; `planned_tokens` are the whole
    steps that come of it, which a plan bills. `unique_from` names where the unique tokens were counted."""

    parameters: int | None = None
    target_ratio: float | None = None
    """Tokens a parameter."""
    asked_tokens: int | None = None
    planned_tokens: int | None = None
    unique_tokens: float | None = None
    unique_interval: tuple[float, float] | None = None
    """95 %, of an estimate."""
    unique_from: str = ""
    used_tokens: int | None = None
    why: str = ""
    """What is not known, in words."""


def budget_json(budget: Budget) -> dict[str, Any]:
    """The budget with what follows from it: target, ratios, epochs, and where the marks stand."""
    target = _times(budget.parameters, budget.target_ratio)
    return budget._asdict() | {
        "target_tokens": target,
        "asked_ratio": _over(budget.asked_tokens, budget.parameters),
        "planned_ratio": _over(budget.planned_tokens, budget.parameters),
        "planned_frac": _over(budget.planned_tokens, target),
        "used_frac": _over(budget.used_tokens, target),
        "planned_epochs": _over(budget.planned_tokens, budget.unique_tokens),
        "used_epochs": _over(budget.used_tokens, budget.unique_tokens),
        "marks": [_mark(share, target, budget) for share in MARKS],
    }


def _mark(share: float, target: float | None, budget: Budget) -> dict[str, Any]:
    """A mark, and whether the plan and what was used so far reach it; None while that is not known."""
    tokens = _times(target, share)
    reached = {
        name: None if tokens is None or value is None else value >= tokens
        for name, value in (("planned", budget.planned_tokens), ("used", budget.used_tokens))
    }
    return {"frac": share, "tokens": tokens, **reached}


def budget_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and numbers for people, in the order in which they are read."""
    unique = _count(found["unique_tokens"])
    if found["unique_interval"]:
        low, high = found["unique_interval"]
        unique += f" ({format_count(low)} to {format_count(high)}, estimated)"
    return [
        ("parameters", _count(found["parameters"])),
        ("target", f"{_count(found['target_tokens'])} ({_ratio(found['target_ratio'])} tokens a parameter)"),
        ("planned", f"{_count(found['planned_tokens'])} ({_ratio(found['planned_ratio'])} tokens a parameter)"),
        ("unique", unique),
        ("epochs", f"{_ratio(found['planned_epochs'])} planned, {_ratio(found['used_epochs'])} so far"),
        ("used so far", _count(found["used_tokens"])),
    ]


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else format_count(value)


def _ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.2f}"


def _times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def _over(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other
