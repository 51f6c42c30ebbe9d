"""Check results as rows of a table: the same for the terminal, the summary and a page. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from picochat.views.formats import UNKNOWN, format_number


class CheckRow(NamedTuple):
    """One result in words and numbers for people."""

    id: str
    verdict: str
    measured: str
    """The value with its interval and n."""
    threshold: str
    why: str
    fix: str
    evidence: str
    """The artifacts, with JSON pointers."""
    waiver: str = ""
    """Who let it go, until when and why."""


def check_rows(checks: Iterable[Mapping[str, Any]]) -> list[CheckRow]:
    """Rows of stored check results (their JSON form), in the order given."""
    return [check_row(check) for check in checks]


def check_row(check: Mapping[str, Any]) -> CheckRow:
    return CheckRow(
        id=check["id"],
        verdict=check["verdict"],
        measured=_measured(check),
        threshold=_threshold(check),
        why=check["why"],
        fix=check.get("fix", "") if check["verdict"] != "pass" else "",
        evidence=", ".join(
            place["artifact"] + (f"#{place['pointer']}" if place["pointer"] else "")
            for place in check.get("evidence", ())
        ),
        waiver=_waiver(check.get("waiver")),
    )


def format_value(value: Any, unit: str = "") -> str:
    """A number with four significant digits, an integer whole, text as it is, unknown as a dash."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool | str):
        return str(value)
    if unit == "fraction":
        return f"{value:.3f}"
    return format_number(value)


def format_interval(interval: Any) -> str:
    """`[.61, .74]` with three decimals, or nothing."""
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""


def _waiver(waiver: Mapping[str, Any] | None) -> str:
    return f"waived by {waiver['by']} until {waiver['until']}: {waiver['reason']}" if waiver else ""


def _measured(check: Mapping[str, Any]) -> str:
    parts = [format_value(check.get("measured"), check.get("unit", "")), format_interval(check.get("interval"))]
    n = check.get("n")
    return " ".join(part for part in [*parts, f"(n = {n:,})" if n is not None else ""] if part)


def _threshold(check: Mapping[str, Any]) -> str:
    if check.get("threshold") is None:
        return UNKNOWN
    return f"{check.get('direction', '')} {format_value(check['threshold'], check.get('unit', ''))}".strip()
