"""Waivers in words: the same rows for the terminal, the summary, the report page and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import UNKNOWN
from picochat.views.dataset import Table

Content = Mapping[str, Any]
TITLE = "Waivers"
NOTE = "A waived check is not passed: its person answers for it until the day named, and the run is no release."
COLUMNS = ["check", "effect", "by", "reason", "until", "given at"]


def waivers_table(content: Content) -> Table:
    """Every waiver of a run, those without effect too; without rows for a run that has none."""
    rows = [[waiver[key.replace(" ", "_")] for key in COLUMNS] for waiver in content.get("waivers") or ()]
    return Table(waivers_title(content), COLUMNS, rows)


def waivers_title(content: Content) -> str:
    return f"{TITLE}, as of {content.get('judged_on') or UNKNOWN}"
