"""Files whose rows are the documents: JSON Lines, CSV and Parquet. The column of the text is named, never guessed.

    iter_rows(path, kind, column)          (number, text, None) or (number, None, reason), one for every row
    iter_records(path, kind, column, ...)  the same with the row's other columns, for filters
    plan_ranges(path, kind, piece_bytes)   how a large file is shared among workers

A plain JSON Lines file is read by ranges of bytes: a range owns the lines that start in it. Nothing is counted before:
the number of a row is its line where the whole file is read, and the offset of its first byte where a range is
(`row_name` writes `notes.jsonl:12` and `notes.jsonl@4096`). A range of a Parquet file is a range of row groups, whose
rows keep their numbers in the file. Compressed files and CSV are read whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.data.compressed import open_stream, place_in_file, split_suffix
from picochat.data.csv_records import Fields, iter_csv_records
from picochat.data.lines import MAX_ROW_BYTES, iter_range
from picochat.data.parquet import iter_parquet_records, plan_row_groups

Row = tuple[int, str | None, str | None]
Record = tuple[int, dict[str, Any] | None, str | None]
Seen = Callable[[float], None]
"""Told now and then which share of the file has been read."""
ROW_KINDS = ("jsonl", "csv", "parquet")
_KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
}
_BOM = b"\xef\xbb\xbf"
_PROBE_LINES = 20
_SEEN_EVERY = 1024


def kind_of(name: str) -> str | None:
    """`jsonl`, `csv`, `parquet`, `markdown` or `text` by a file's extension, its compression aside; None if unknown."""
    plain, _ = split_suffix(name)
    return _KINDS.get(Path(plain).suffix.lower())


def iter_rows(path: Path, kind: str, column: str, begin: int = 0, end: int | None = None) -> Iterator[Row]:
    """Every row of a file, or of the range `begin` to `end` of one, as a text or with the reason why it has none.

    Reasons: row_too_long, not_utf8, row_not_json, row_not_object, row_without_column, row_not_text, row_broken.
    Raises `source.column`, `source.column_type`, `source.layout`, `source.truncated`, `source.corrupt`, `usage.extra`
    and OSError.
    """
    for number, record, reason in iter_records(path, kind, column, (), begin, end):
        yield number, None if record is None else record[column], reason


def iter_records(
    path: Path,
    kind: str,
    column: str,
    others: tuple[str, ...] = (),
    begin: int = 0,
    end: int | None = None,
    seen: Seen | None = None,
) -> Iterator[Record]:
    """Like `iter_rows`, with a row as a dict: the text in `column`, and whatever the row holds of `others`.

    A JSON row may hold more; a CSV cell is a string. CSV and Parquet files must have the others as well.
    """
    if kind == "parquet":
        return iter_parquet_records(path, column, others, begin, end, seen)
    if kind not in ("jsonl", "csv"):
        raise ValueError(f"{kind!r} is no kind of row file")
    ranged = begin > 0 or end is not None
    if ranged and not can_be_split(path, kind):
        raise ValueError(f"{path} can only be read whole")
    return _iter_jsonl(path, column, begin, end, seen) if kind == "jsonl" else _iter_csv(path, column, others, seen)


def can_be_split(path: Path, kind: str) -> bool:
    """Whether ranges of the file can be read on their own."""
    return kind == "parquet" or (kind == "jsonl" and split_suffix(path.name)[1] == "")


def plan_ranges(path: Path, kind: str, piece_bytes: int) -> list[tuple[int, int | None]]:
    """Ranges (begin, end) that tile a file, of about `piece_bytes` each; [(0, None)] where it is read whole.

    They depend on the file and `piece_bytes` alone. Raises what `iter_rows` raises for a Parquet file.
    """
    if kind == "parquet":
        return plan_row_groups(path, piece_bytes)
    size = path.stat().st_size
    if not can_be_split(path, kind) or size <= piece_bytes:
        return [(0, None)]
    return [(begin, min(begin + piece_bytes, size)) for begin in range(0, size, piece_bytes)]


def row_name(file: str, number: int, kind: str, begin: int = 0, end: int | None = None) -> str:
    """The name of a row: `FILE:ROW`, or `FILE@BYTE` in a range of a JSON Lines file."""
    return f"{file}@{number}" if kind == "jsonl" and (begin > 0 or end is not None) else f"{file}:{number}"


def iter_jsonl_rows(path: Path, column: str) -> Iterator[Row]:
    """The rows of a whole JSON Lines file; the number is the line's. Empty lines are no rows."""
    return iter_rows(path, "jsonl", column)


def iter_csv(path: Path, column: str) -> Iterator[Row]:
    """The rows of a CSV file with a header line; the first row after it is number 1. Raises `source.column`."""
    return iter_rows(path, "csv", column)


def _iter_jsonl(path: Path, column: str, begin: int, end: int | None, seen: Seen | None) -> Iterator[Record]:
    ranged = begin > 0 or end is not None
    with open_stream(path) as stream:
        size = path.stat().st_size
        for line_number, (offset, line) in enumerate(iter_range(stream, begin, end, MAX_ROW_BYTES), 1):
            if seen and line_number % _SEEN_EVERY == 0:
                seen(place_in_file(stream) / max(1, size))
            if line is None or line.strip():
                yield offset if ranged else line_number, *_json_record(line, column)


def _json_record(line: bytes | None, column: str) -> tuple[dict[str, Any] | None, str | None]:
    if line is None:
        return None, "row_too_long"
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
    return (row, None) if isinstance(row[column], str) else (None, "row_not_text")


def _iter_csv(path: Path, column: str, others: tuple[str, ...], seen: Seen | None) -> Iterator[Record]:
    with open_stream(path) as stream:
        size = path.stat().st_size
        if stream.peek(3)[:3] == _BOM:
            stream.read(3)
        records = iter_csv_records(stream, MAX_ROW_BYTES)
        header = _csv_header(path, next(records, []), (column, *others))
        for number, fields in enumerate(records, 1):
            if seen and number % _SEEN_EVERY == 0:
                seen(place_in_file(stream) / max(1, size))
            yield number, *_csv_record(fields, header, column)


def _csv_header(path: Path, fields: Fields, wanted: tuple[str, ...]) -> list[str]:
    """The names of the columns; [] for an empty file. Raises `source.layout` or `source.column`."""
    if isinstance(fields, str):
        refuse("source.layout", f"{path} has no header line that can be read ({fields})")
    header = [name.strip() for name in fields]
    for column in wanted if header else ():
        if header.count(column) != 1:
            found = "no column" if column not in header else "two columns"
            refuse("source.column", f"{path} has {found} {column!r}; its columns are {quoted(header)}")
    return header


def quoted(names: list[str]) -> str:
    """Some names for a sentence, at most 20 of them."""
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more if names else "none"


def _csv_record(fields: Fields, header: list[str], column: str) -> tuple[dict[str, Any] | None, str | None]:
    if isinstance(fields, str):
        return None, fields
    if len(fields) != len(header):
        return None, "row_broken"
    row = dict(zip(header, fields, strict=True))
    return (None, "not_utf8") if not _is_utf8(row[column]) else (row, None)


def _is_utf8(text: str) -> bool:
    """Whether no byte of the file had to be kept as a lone surrogate."""
    return text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text)


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
