"""Runs side by side as tables and sentences. Nothing is computed here, and nobody is called better here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import UNKNOWN, format_interval, format_value
from picochat.views.runs.config_difference import difference_table
from picochat.views.dataset import Table

Document = Mapping[str, Any]
DECIMALS = {"fraction": 3, "bits a byte": 3, "nats a token": 4}


def side_tables(found: Document) -> list[Table]:
    """The runs, what they measured, the settings that differ, then each pair with the rows that flipped."""
    tables = [_runs(found), _measures(found), difference_table(found["config"])]
    for name, pairs in found["pairs"].items():
        for pair in pairs["against"]:
            tables += [_pair(name, pair), _flipped(name, pair)]
    return [table for table in tables if table.rows]


def side_notes(found: Document) -> list[str]:
    """What a reader must know beside the tables."""
    notes = [f"warning  {warning['text']}" for warning in found["warnings"]]
    notes.append("note     differences are to A, intervals at 95 %; of losses they take both runs as independent")
    if any(pairs["against"] for pairs in found["pairs"].values()):
        notes.append("note     p (Holm): exact McNemar over the skills of a pair; there is no verdict over all skills")
    return notes


def _runs(found: Document) -> Table:
    columns = ["", "run", "state", "profile", "gate", "parameters", "weights"]
    rows = [
        [
            run["label"],
            run["path"],
            run["state"],
            run["profile"] or UNKNOWN,
            run["verdict"] or UNKNOWN,
            format_value(run["parameters"]),
            (run["weights_digest"] or UNKNOWN)[:12],
        ]
        for run in found["runs"]
    ]
    return Table("", columns, rows)


def _measures(found: Document) -> Table:
    labels = [run["label"] for run in found["runs"]]
    columns = ["measured", *labels, *(f"{label} - {labels[0]}" for label in labels[1:])]
    rows = []
    for entry in found["measures"]:
        digits = DECIMALS.get(entry["unit"], 3)
        values = [_number(value, digits) for value in entry["values"]]
        rows.append([f"{entry['name']} ({entry['unit']})", *values, *(_delta(d, digits) for d in entry["deltas"][1:])])
    return Table("", columns, rows)


def _number(value: Any, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _delta(delta: Document | None, digits: int) -> str:
    if delta is None:
        return UNKNOWN
    interval = delta["interval"]
    between = f" [{interval[0]:+.{digits}f}, {interval[1]:+.{digits}f}]" if interval else ""
    return f"{delta['difference']:+.{digits}f}{between}"


def _pair(name: str, pair: Document) -> Table:
    first, second = pair["first"], pair["second"]
    columns = ["skill", "n", "both", f"{first} alone", f"{second} alone", f"{second} - {first}", "95 %", "p (Holm)", ""]
    rows = []
    for entry in pair["skills"]:
        counts = [f"{entry[key]:,}" for key in ("n", "both", "only_first", "only_second")]
        change = [f"{entry['difference']:+.3f}", format_interval(entry["interval"]), f"{entry['p_holm']:.3g}"]
        rows.append([entry["skill"], *counts, *change, entry["verdict"]])
    return Table(f"{name}: {first} and {second} on the same rows", columns, rows)


def _flipped(name: str, pair: Document) -> Table:
    first, second = pair["first"], pair["second"]
    title = f"{name}: {len(pair['discordant']):,} of {pair['discordant_rows']:,} rows that flipped"
    columns = ["row", "question", "expected", "passed by", f"reply of {first}", f"reply of {second}"]
    rows = [
        [row["id"], row["prompt"], " | ".join(row["expected"]), row["passed_by"]]
        + [row["replies"][label] for label in (first, second)]
        for row in pair["discordant"]
    ]
    return Table(title, columns, [[_short(cell) for cell in row] for row in rows])


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."
