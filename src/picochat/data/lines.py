"""Lines of a binary stream in bounded memory: a line over the limit is passed over and said to be too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MAX_ROW_BYTES = 64 * 1024 * 1024
"""A row, line or field that is longer is dropped, whatever it holds: nothing of it stays in memory."""
SKIP_BYTES = 1 << 20
Line = tuple[int, bytes | None]


def iter_lines(stream: BinaryIO, limit: int = MAX_ROW_BYTES, offset: int = 0) -> Iterator[Line]:
    r"""(offset of the first byte, the line with its `\n`) for every line; None instead of one over `limit` bytes.

    The newline does not count. `offset` is where the stream stands now. Memory stays near twice the limit even where
    no newline ever comes.
    """
    while line := stream.readline(limit + 1):
        size = len(line)
        if size <= limit or line.endswith(b"\n"):
            yield offset, line
        else:
            line = b""
            size += skip_line(stream)
            yield offset, None
        offset += size


def skip_line(stream: BinaryIO) -> int:
    """Reads up to and with the next newline and returns how many bytes that were."""
    size = 0
    while piece := stream.readline(SKIP_BYTES):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def iter_range(stream: BinaryIO, begin: int, end: int | None, limit: int = MAX_ROW_BYTES) -> Iterator[Line]:
    """The lines that start in the bytes `begin` to `end` of a seekable stream: ranges that tile a file share its lines.

    A line belongs to the range that holds its first byte, so the last one may end beyond `end`.
    """
    if begin > 0:
        stream.seek(begin - 1)
        begin += skip_line(stream) - 1
    for offset, line in iter_lines(stream, limit, begin):
        if end is not None and offset >= end:
            return
        yield offset, line
