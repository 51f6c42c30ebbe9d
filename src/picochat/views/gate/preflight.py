"""Preflight as a page and as tables. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import CheckRow, check_rows
from picochat.views.dataset import Table

ORDER = ("block", "not_run", "warn", "waived", "pass")
WORDS = {
    "pass": "nothing stands in the way of this run",
    "warn": "the run can start; what warns is worth a look",
    "blocked": "do not start: what blocks comes first",
}


def sorted_rows(body: Mapping[str, Any]) -> list[CheckRow]:
    """The check rows, the worst first, in the order of the file within a verdict."""
    return check_rows(sorted(body["checks"], key=lambda check: ORDER.index(check["verdict"])))


def preflight_table(body: Mapping[str, Any]) -> Table:
    """One row a check."""
    rows = [
        [row.verdict, row.id, row.measured, row.threshold, row.why if row.verdict != "pass" else ""]
        for row in sorted_rows(body)
    ]
    return Table("", ["verdict", "check", "measured", "limit", "why it matters"], rows)


def preflight_line(body: Mapping[str, Any]) -> str:
    """The verdict in one line."""
    counts = {word: sum(check["verdict"] == word for check in body["checks"]) for word in ORDER}
    figures = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    limits = f"{body['column']} limits, version {body['limits_version']}"
    return f"{body['verdict']} ({limits}): {WORDS[body['verdict']]}; {figures}"


def fix_lines(body: Mapping[str, Any]) -> list[str]:
    """What mends the faults, the worst first, each cure once with the checks that it is for."""
    cures: dict[str, list[str]] = {}
    for row in sorted_rows(body):
        if row.fix:
            cures.setdefault(row.fix, []).append(row.id)
    return [f"{cure} ({_some(checks)})" for cure, checks in cures.items()]


def _some(checks: list[str], most: int = 4) -> str:
    more = f" and {len(checks) - most} more" if len(checks) > most else ""
    return ", ".join(checks[:most]) + more


def preflight_markdown(body: Mapping[str, Any]) -> str:
    """preflight.md: what blocks and warns with its cure, then what passed."""
    rows = sorted_rows(body)
    machine = body["facts"]["machine"]
    lines = ["# Preflight", "", preflight_line(body), ""]
    lines += [f"Machine: {machine['name']}, {machine['ranks']} rank(s). Gate profile: {body['profile']}.", ""]
    if body["not_asked"]:
        lines += [f"Not asked of this machine: {', '.join(body['not_asked'])}.", ""]
    lines += ["| verdict | check | measured | limit | why, and what mends it |", "|---|---|---|---|---|"]
    for row in rows:
        words = row.why + (f" **Fix:** {row.fix}" if row.fix else "")
        lines.append("| " + " | ".join(map(_cell, (row.verdict, row.id, row.measured, row.threshold, words))) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
