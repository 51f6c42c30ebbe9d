"""The table of the red team, printed at the end of a test run, whichever process ran its tests.

A row travels as the property ROW of a test: number, sabotage, intended check, verdict, what blocked it, what was
measured, seconds, form.
"""

from __future__ import annotations

import re

import pytest

ROW = "red team"
HEAD = ("#", "sabotage", "intended check", "verdict", "blocked by", "measured", "seconds", "form")


def order(row: tuple[str, ...]) -> tuple[bool, int, str]:
    """Sabotages by number, then honest runs by theirs."""
    return row[0].startswith("H"), int(re.findall(r"\d+", row[0])[0]), row[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    found = [
        value
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == ROW
    ]
    if not found:
        return
    terminalreporter.section("red team under skill_release")
    lines = [HEAD, *sorted((tuple(map(str, row)) for row in found), key=order)]  # type: ignore[arg-type]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
