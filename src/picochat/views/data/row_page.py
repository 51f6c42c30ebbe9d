"""Rows of a JSON Lines file by byte offset, a page at a time: a file of any size costs what one page costs.

A search that matches little stops after a bounded part of the file and says where it goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, TypeVar

LOOKED_AT_BYTES = 16 * 1024 * 1024
LINE_BYTES = 256 * 1024
"""Of one row; a longer one is told of, not shown."""
_PIECE = 1 << 18

Row = TypeVar("Row")


class RowPage(NamedTuple):
    """`next` is the cursor of the page after this one, None at the end; `whole` is false where the search ran out."""

    rows: list[Any]
    next: int | None
    size: int
    whole: bool


def read_rows(stream: BinaryIO, cursor: int, limit: int, take: Callable[[int, bytes | None], Row | None]) -> RowPage:
    """Up to `limit` rows from a byte offset on. `take` makes a row of (offset, line) or leaves it out with None.

    A line that is too long to be read is given to `take` as None.
    """
    size = os.fstat(stream.fileno()).st_size
    rows: list[Any] = []
    at = min(cursor, size)
    stop = at + LOOKED_AT_BYTES
    while at < size:
        if len(rows) == limit:
            return RowPage(rows, at, size, True)
        if at >= stop:
            return RowPage(rows, at, size, False)
        for line, end in _lines(stream, at):
            row = take(at, line)
            if row is not None:
                rows.append(row)
            at = end
            if len(rows) == limit or at >= stop:
                break
    return RowPage(rows, None, size, True)


def _lines(stream: BinaryIO, at: int) -> list[tuple[bytes | None, int]]:
    """The lines of one piece of the file with where each ends; at least one. A torn last line is a line."""
    data = os.pread(stream.fileno(), _PIECE, at)
    cut = data.rfind(b"\n") + 1
    if cut == 0:
        return [_long_line(stream, at, data)]
    found: list[tuple[bytes | None, int]] = []
    for piece in data[: cut - 1].split(b"\n"):
        at += len(piece) + 1
        found.append((piece, at))
    return found


def _long_line(stream: BinaryIO, at: int, data: bytes) -> tuple[bytes | None, int]:
    """A line without an end in the first piece: to the end of the file, or too long to be read."""
    while len(data) <= LINE_BYTES and (piece := os.pread(stream.fileno(), _PIECE, at + len(data))):
        data += piece
        if b"\n" in piece:
            break
    line, newline, _ = data.partition(b"\n")
    if newline or len(data) <= LINE_BYTES:
        return (line if len(line) <= LINE_BYTES else None), at + len(line) + len(newline)
    end = at + len(data)
    while piece := os.pread(stream.fileno(), 1 << 20, end):
        place = piece.find(b"\n")
        if place >= 0:
            return None, end + place + 1
        end += len(piece)
    return None, end
