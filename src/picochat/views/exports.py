"""Exports as tables: what each runtime can load, what was compared, what rounding costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.views.dataset import Table

Content = Mapping[str, Any]
NOTHING = "–"


def target_table(rows: Sequence[Content]) -> Table:
    """The compatibility table: target, result, proof, reason."""
    cells = [[row["target"], row["result"], row["proof"], row["reason"]] for row in rows]
    return Table("", ["TARGET", "RESULT", "PROOF", "REASON"], cells)


def proof_table(parity: Content) -> Table:
    """Every comparison and control of a proof, and what could not run."""
    rows = []
    for subject in parity["subjects"]:
        name = subject["name"].replace("_", " ")
        rows += [[name, *_comparison(entry)] for entry in subject["comparisons"]]
        rows += [[name, *_control(entry)] for entry in subject["controls"]]
    rows += [["", entry["name"], "not run", NOTHING, NOTHING, entry["reason"]] for entry in parity["not_run"]]
    return Table("", ["of", "compared with", "result", "largest difference", "bound", "same likeliest token"], rows)


def rounding_table(parity: Content) -> Table:
    """What each type of fewer bits costs on held-out text."""
    rows = []
    for entry in parity.get("rounding", ()):
        cost = entry["cost"]
        numbers = [f"{cost[key]:.4f}" for key in ("source_bpb", "rounded_bpb")] if cost else [NOTHING, NOTHING]
        rows.append([entry["kind"], *numbers, f"{cost['change']:+.4f}" if cost else entry["reason"]])
    return Table("", ["type", "bits a byte before", "after", "change"], rows)


def _comparison(entry: Content) -> list[str]:
    tokens = f"{entry['equal_tokens']} of {entry['tokens']}" if entry["tokens"] else entry["reason"]
    return [entry["name"], entry["state"], _number(entry["largest"]), _number(entry["bound"]), tokens]


def _control(entry: Content) -> list[str]:
    state = "noticed, as it must be" if entry["seen"] else "not noticed"
    name = f"planted mistake: {entry['name'].replace('_', ' ')}"
    return [name, state, _number(entry["largest"]), NOTHING, f"{entry['equal_tokens']} of {entry['tokens']}"]


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1e}" if 0 < abs(value) < 0.01 else f"{value:g}"
