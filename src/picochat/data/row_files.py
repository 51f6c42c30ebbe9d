"""Files whose rows are the documents: JSON Lines and CSV. The column of the text is named, never guessed.

Each reader yields (row number, text, None) or (row number, None, reason), one for every row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse

Row = tuple[int, str | None, str | None]
MAX_FIELD_CHARS = 64 * 1024 * 1024
_PROBE_LINES = 20


def iter_jsonl_rows(path: Path, column: str) -> Iterator[Row]:
    """The rows of a JSON Lines file; the number is the line's. Empty lines are no rows."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, *_json_text(line, column)


def _json_text(line: bytes, column: str) -> tuple[str | None, str | None]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None, "not_utf8"
    except (ValueError, RecursionError):
        return None, "row_not_json"
    if not isinstance(row, dict):
        return None, "row_not_object"
    if column not in row:
        return None, "row_without_column"
    return (row[column], None) if isinstance(row[column], str) else (None, "row_not_text")


def iter_csv(path: Path, column: str) -> Iterator[Row]:
    """The rows of a CSV file with a header line; the first row after it is number 1. Raises `source.column`."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = csv.reader(stream)
        header = [name.strip() for name in next(rows, [])]
        if header:
            header[0] = header[0].removeprefix("\ufeff")
        if header and column not in header:
            refuse(
                "source.column", f"{path} has no column {column!r}; its columns are {', '.join(map(repr, header[:20]))}"
            )
        number = 0
        while (fields := _next_row(rows)) is not None:
            if fields != []:
                number += 1
                yield number, *_csv_text(fields, header, column)


def _next_row(rows: Any) -> list[str] | str | None:
    """The next row, its error as a string, or None at the end."""
    try:
        return next(rows, None)
    except csv.Error as err:
        return str(err)


def _csv_text(fields: list[str] | str, header: list[str], column: str) -> tuple[str | None, str | None]:
    if isinstance(fields, str) or len(fields) != len(header):
        return None, "row_broken"
    text = fields[header.index(column)]
    return (None, "not_utf8") if any("\udc80" <= char <= "\udcff" for char in text) else (text, None)


def looks_like_jsonl(text: str) -> bool:
    """Whether a text is really rows: its first lines are all JSON objects, one a line."""
    start = text.lstrip("\ufeff \t\r\n")
    if not start.startswith("{"):
        return False
    lines = [line for line in start.split("\n", _PROBE_LINES)[:_PROBE_LINES] if line.strip()]
    return all(_is_json_object(line) for line in lines[:-1] or lines)


def _is_json_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
