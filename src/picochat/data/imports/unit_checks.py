"""Whether a file of rows is one: a file that cannot be read, or that lacks the column, is refused and not left out."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

from picochat.core.errors import refuse
from picochat.data.compressed import open_stream
from picochat.data.lines import iter_lines
from picochat.data.row_files import kind_of, quoted

UNREADABLE = frozenset({"row_not_json", "row_not_object", "row_broken", "not_utf8"})


def require_rows_layout(path: Path, name: str) -> None:
    """Raises `source.layout` for a `.json` file that is one list: JSON Lines have an object on each line."""
    if kind_of(name) != "jsonl":
        return
    with open_stream(path) as stream:
        start = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        refuse("source.layout", f"{name} is one JSON list; rows are read from JSON Lines, an object on each line")


def require_readable(path: Path, name: str, column: str | None, rows_read: int, dropped: Counter[str]) -> None:
    """Raises `source.column` or `source.layout` when not one row of a file had the column, or could be read at all."""
    if not rows_read or sum(dropped.values()) < rows_read:
        return
    if sum(dropped[reason] for reason in UNREADABLE) == rows_read:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
        refuse("source.layout", f"{name} is not what its name says: none of its rows can be read ({counts})")
    missing = dropped["row_without_column"]
    if missing and missing + sum(dropped[reason] for reason in UNREADABLE) == rows_read:
        refuse(
            "source.column",
            f"none of the {missing:,} rows of {name} has a column {column!r};"
            f" the columns of the first are {_first_columns(path)}",
        )


def _first_columns(path: Path) -> str:
    """The keys of the first JSON object of a file that has at least one."""
    with open_stream(path) as stream:
        for _, line in iter_lines(stream):
            with contextlib.suppress(ValueError):
                row = json.loads(line or b"")
                if isinstance(row, dict):
                    return quoted(list(row))
    return "none"
