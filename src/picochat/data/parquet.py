"""Rows of Parquet files, a row group at a time and only the needed columns. pyarrow is imported when it is called for.

A row is numbered by its place in the file, from 1. Batches are small enough that a large row group, or a dictionary of
long texts, is never held as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.data.compressed import split_suffix
from picochat.data.lines import MAX_ROW_BYTES
from picochat.data.parquet_pages import dictionary_bytes

Record = tuple[int, dict[str, Any] | None, str | None]
BATCH_BYTES = 16 * 1024 * 1024
BATCH_ROWS = 1024
MAX_DICTIONARY_BYTES = 4 * MAX_ROW_BYTES
_PAGE_BUFFER_BYTES = 1 << 20
_MAGIC = b"PAR1"
_KNOWN_HEADS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"version https://git-lfs", "the pointer of a file that git-lfs has not fetched"),
    (b"<", "a page of a web site"),
    (b"{", "JSON"),
    (b"ARROW1", "an Arrow file"),
)


def iter_parquet_records(
    path: Path,
    column: str,
    others: tuple[str, ...] = (),
    begin: int = 0,
    end: int | None = None,
    seen: Callable[[float], None] | None = None,
) -> Iterator[Record]:
    """(number, the row's columns, None) or (number, None, reason) for every row of the row groups `begin` to `end`.

    Reasons: row_not_text for null, not_utf8, row_too_long. Raises `source.column`, `source.column_type`,
    `source.truncated`, `source.layout`, `source.corrupt` or `usage.extra`.
    """
    with _open(path) as file:
        wanted = list(dict.fromkeys((column, *others)))
        _require_columns(path, file.schema_arrow, column, wanted)
        metadata = file.metadata
        number = sum(metadata.row_group(group).num_rows for group in range(min(begin, metadata.num_row_groups)))
        for group in range(begin, metadata.num_row_groups if end is None else min(end, metadata.num_row_groups)):
            rows = _batch_rows(path, metadata.row_group(group), column)
            expected = number + metadata.row_group(group).num_rows
            for batch in _iter_batches(path, file, group, wanted, rows):
                yield from _batch_records(path, batch, number, column, wanted)
                number += batch.num_rows
                if seen:
                    seen(number / max(1, metadata.num_rows))
            if number != expected:
                refuse(
                    "source.corrupt", f"{path}: row group {group} ends at row {number:,}, its footer says {expected:,}"
                )


def plan_row_groups(path: Path, piece_bytes: int) -> list[tuple[int, int | None]]:
    """Ranges of row groups of about `piece_bytes` (unpacked) each that tile the file."""
    with _open(path) as file:
        sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups)]
    starts, filled = [0], 0
    for group, size in enumerate(sizes):
        if filled and filled + size > piece_bytes:
            starts.append(group)
            filled = 0
        filled += size
    if len(starts) == 1:
        return [(0, None)]
    return list(zip(starts, [*starts[1:], len(sizes)], strict=True))


def _open(path: Path) -> Any:
    """The file, opened by its footer; unlike pyarrow it says whether it was cut or never was a Parquet file."""
    parquet = require_extra("pyarrow.parquet", f"{path} is a Parquet file")
    arrow = require_extra("pyarrow", f"{path} is a Parquet file")
    _require_magic(path)
    try:
        return parquet.ParquetFile(
            path, pre_buffer=False, buffer_size=_PAGE_BUFFER_BYTES, page_checksum_verification=True
        )
    except (arrow.ArrowException, OSError) as err:
        _refuse_broken(path, "its footer", err)


def _require_magic(path: Path) -> None:
    if packed := split_suffix(path.name)[1]:
        refuse(
            "source.layout",
            f"{path} is a Parquet file packed as a whole with {packed}",
            why="Parquet files are read by place, which a packed file does not allow; their columns are packed inside",
            fix="unpack the file",
        )
    with path.open("rb") as stream:
        head = stream.read(32)
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - 4))
        tail = stream.read(4)
    if not head:
        refuse("source.truncated", f"{path} has 0 bytes; a Parquet file is never empty")
    if not head.startswith(_MAGIC):
        known = next((name for start, name in _KNOWN_HEADS if head.startswith(start)), f"{head[:8]!r} at its start")
        refuse("source.layout", f"{path} is no Parquet file: it holds {known}")
    if tail != _MAGIC or size < 12:
        refuse("source.truncated", f"{path} begins as a Parquet file and has no footer at its end, byte {size:,}")


def _refuse_broken(path: Path, place: str, err: Exception) -> NoReturn:
    if isinstance(err, OSError) and err.errno is not None:
        raise err
    refuse("source.corrupt", f"{path}: {place} cannot be read: {str(err).splitlines()[0] if str(err) else err!r}")


def _require_columns(path: Path, schema: Any, column: str, wanted: list[str]) -> None:
    names = list(schema.names)
    for name in wanted:
        if names.count(name) == 1:
            continue
        listed = ", ".join(map(repr, names[:20])) or "none"
        found = "two columns" if name in names else "no column"
        nested = name.partition(".")[0] in names and "." in name
        refuse(
            "source.column",
            f"{path} has {found} {name!r}; its columns are {listed}"
            + ("; a column inside of another one is not read" if nested else ""),
        )
    for name in wanted:
        _require_type(path, schema.field(name), name == column)


def _require_type(path: Path, field: Any, is_text: bool) -> None:
    types = require_extra("pyarrow", f"{path} is a Parquet file").types
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    if not (text or (plain and not is_text)):
        needed = "text" if is_text else "text, numbers or booleans"
        refuse("source.column_type", f"{path}: column {field.name!r} is {field.type}, and {needed} is needed")


def _batch_rows(path: Path, group: Any, column: str) -> int:
    """Rows that are decoded together. A text of a dictionary may be as long as the dictionary and stand in any row.

    Raises `source.layout` for a dictionary that is longer than any text may be, four times over.
    """
    chunks = [group.column(index) for index in range(group.num_columns)]
    found = [chunk for chunk in chunks if chunk.path_in_schema == column]
    size = sum(chunk.total_uncompressed_size for chunk in found)
    rows = min(BATCH_ROWS, BATCH_BYTES * group.num_rows // max(1, size))
    for dictionary in (dictionary_bytes(path, chunk) for chunk in found):
        if dictionary > MAX_DICTIONARY_BYTES:
            refuse(
                "source.layout",
                f"{path}: the dictionary of column {column!r} has {dictionary:,} bytes, the limit is "
                f"{MAX_DICTIONARY_BYTES:,}",
                fix="write the file again without a dictionary for this column",
            )
        rows = min(rows, 4 * BATCH_BYTES // max(1, dictionary))
    return max(1, rows)


def _iter_batches(path: Path, file: Any, group: int, columns: list[str], rows: int) -> Iterator[Any]:
    arrow = require_extra("pyarrow", f"{path} is a Parquet file")
    batches = file.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
        except (arrow.ArrowException, OSError) as err:
            _refuse_broken(path, f"row group {group}", err)
        if batch is None:
            return
        yield batch


def _batch_records(path: Path, batch: Any, before: int, column: str, wanted: list[str]) -> Iterator[Record]:
    values = {name: _values(batch.column(batch.schema.get_field_index(name))) for name in wanted}
    for row in range(batch.num_rows):
        record = {name: values[name][row] for name in wanted}
        reason = _problem(record[column])
        yield before + row + 1, None if reason else record, reason


def _values(column: Any) -> list[Any]:
    """The values as Python objects; bytes stand for a text that is not UTF-8."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return b""


def _problem(text: Any) -> str | None:
    if isinstance(text, bytes):
        return "not_utf8"
    if text is None:
        return "row_not_text"
    too_long = len(text) > MAX_ROW_BYTES or (4 * len(text) > MAX_ROW_BYTES and len(text.encode()) > MAX_ROW_BYTES)
    return "row_too_long" if too_long else None
