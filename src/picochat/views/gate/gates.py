"""Two gates side by side, as a table and notes for a terminal. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import UNKNOWN, format_interval, format_value
from picochat.views.dataset import Table

Content = Mapping[str, Any]


def gates_table(found: Content) -> Table:
    """Every check with both verdicts and values, what changed first."""
    rows = [_row(row) for row in found["checks"]]
    columns = [
        "check",
        "changed",
        *(f"{side}: {what}" for side in ("first", "second") for what in ("verdict", "measured")),
    ]
    return Table("", [*columns, "difference"], rows)


def gates_notes(found: Content) -> list[str]:
    """Which runs these are, and what was not set against each other."""
    notes = [
        f"{side}: {run['name']} ({run['path']}), {run['verdict']} under {found['profile']}, "
        f"weights {(run['weights_digest'] or UNKNOWN)[:16]}"
        for side, run in zip(("first", "second"), found["runs"], strict=True)
    ]
    notes += [f"the rows of {name} differ, so its rates are not compared" for name in found["other_rows"]]
    return notes


def _row(row: Content) -> list[str]:
    cells = [cell for side in ("first", "second") for cell in (row[side]["verdict"], _measured(row, side))]
    name = row["id"] + (" (shown)" if row["shown"] else "")
    return [name, "" if row["change"] == "none" else row["change"], *cells, _difference(row)]


def _measured(row: Content, side: str) -> str:
    value, n = row[side], row[side]["n"]
    parts = [format_value(value["measured"], row["unit"]), format_interval(value["interval"])]
    return " ".join(part for part in [*parts, f"(n = {n:,})" if n is not None else ""] if part)


def _difference(row: Content) -> str:
    if row["difference"] is None:
        return UNKNOWN
    sign = "+" if row["difference"] > 0 else ""
    return sign + format_value(float(row["difference"]), row["unit"])
