"""A part of generated skills as tables. Nothing is computed here but sums for a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.dataset import Table

Document = Mapping[str, Any]
SETS = {"sft": "learn from", "heldout": "held-out fit", "eval": "eval"}


def part_tables(manifest: Document) -> list[Table]:
    """One row a set and skill, then how even the right letters are."""
    rows = [
        [title, skill, *_skill_cells(found)]
        for name, title in SETS.items()
        for skill, found in manifest["sets"][name]["skills"].items()
    ]
    keys = [
        [title, options, *(f"{counts[letter]:,}" if letter in counts else "" for letter in "ABCDE")]
        for name, title in SETS.items()
        for options, counts in manifest["sets"][name]["choice_key"]["options"].items()
    ]
    columns = ["set", "skill", "rows", "prompts", "levels", "templates", "entities"]
    return [Table("", columns, rows), Table("", ["right letter", "options", *"ABCDE"], keys)]


def _skill_cells(found: Document) -> list[str]:
    levels = ", ".join(f"{name} {count:,}" for name, count in found["levels"].items())
    entities = ", ".join(f"{count:,} {kind}s" for kind, count in found["entities"].items())
    return [f"{found['rows']:,}", f"{found['prompts']:,}", levels, f"{len(found['templates'])}", entities]
