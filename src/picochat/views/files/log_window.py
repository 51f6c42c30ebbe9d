"""A part of a growing text file by byte offset, in whole lines: the end of a file of any size costs one seek.

read_window(stream)                    the end of the file
read_window(stream, offset=n)          what follows byte n: how a reader goes on
read_window(stream, before=n)          what stands ahead of byte n: how a reader goes back
find_line(stream, words, start)        the next line that holds one of some words, within a bounded search
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

WINDOW_BYTES = 128 * 1024
WINDOW_LINES = 2000
BEFORE_BYTES = 20_000
"""What is read ahead of a window, so that a secret which begins there is known for one."""
SCAN_BYTES = 64 * 1024 * 1024
_PIECE = 1 << 20


class RawLine(NamedTuple):
    """A line without its end. `data` are its `bytes`, or the first of them where it is longer than a window."""

    offset: int
    data: bytes
    bytes: int
    begun: bool = False
    """Whether it began before the window."""


class Window(NamedTuple):
    """Whole lines between two offsets. `end` is where a reader goes on, `begin` where one goes back from."""

    begin: int
    end: int
    size: int
    lines: list[RawLine]
    partial: RawLine | None
    """What stands after the last line end of the file: a line that is being written, or was torn."""
    before: bytes
    """Up to BEFORE_BYTES ahead of `begin`."""


def read_window(
    stream: BinaryIO,
    *,
    offset: int | None = None,
    before: int | None = None,
    most_bytes: int = WINDOW_BYTES,
    most_lines: int = WINDOW_LINES,
) -> Window:
    """Lines after `offset`, ahead of `before`, or at the end of the file. An offset beyond the end is the end."""
    size = os.fstat(stream.fileno()).st_size
    if offset is not None:
        begin = min(offset, size)
        data = _pread(stream, begin, most_bytes)
        return _forward(stream, begin, data, size, most_bytes, most_lines)
    end = size if before is None else min(before, size)
    begin = max(0, end - most_bytes)
    return _backward(stream, begin, _pread(stream, begin, end - begin), size, most_lines, tail=end == size)


def find_line(
    stream: BinaryIO, words: Sequence[bytes], start: int, *, fold_case: bool = False, most_bytes: int = SCAN_BYTES
) -> tuple[int | None, int]:
    """(where the next line with one of the words begins, how far was searched), from `start` on."""
    size = os.fstat(stream.fileno()).st_size
    wanted = [word.lower() if fold_case else word for word in words]
    overlap, at, limit = max(map(len, wanted)) - 1, start, min(size, start + most_bytes)
    while at < limit:
        data = _pread(stream, at, min(_PIECE, limit - at) + overlap)
        text = data.lower() if fold_case else data
        hits = [place for place in map(text.find, wanted) if place >= 0]
        if hits:
            return line_start(stream, at + min(hits), start), at + min(hits)
        at += _PIECE
    return None, limit


def find_line_back(
    stream: BinaryIO, words: Sequence[bytes], before: int, *, fold_case: bool = False, most_bytes: int = SCAN_BYTES
) -> tuple[int | None, int]:
    """The same towards the beginning: the last line that ends at or ahead of `before`."""
    wanted = [word.lower() if fold_case else word for word in words]
    overlap, end, limit = max(map(len, wanted)) - 1, before, max(0, before - most_bytes)
    while end > limit:
        begin = max(limit, end - _PIECE)
        data = _pread(stream, begin, min(before, end + overlap) - begin)
        text = data.lower() if fold_case else data
        hits = [place for place in map(text.rfind, wanted) if place >= 0]
        if hits:
            return line_start(stream, begin + max(hits), 0), begin
        end = begin
    return None, limit


def line_start(stream: BinaryIO, place: int, floor: int) -> int:
    """Where the line around a place begins, at most one piece ahead of it and not ahead of `floor`."""
    begin = max(floor, place - _PIECE)
    found = _pread(stream, begin, place - begin).rfind(b"\n")
    return begin if found < 0 else begin + found + 1


def _forward(stream: BinaryIO, begin: int, data: bytes, size: int, most_bytes: int, most_lines: int) -> Window:
    ahead = _before(stream, begin)
    begun = begin > 0 and not ahead.endswith(b"\n")
    cut = data.rfind(b"\n") + 1
    if cut == 0 and len(data) == most_bytes and begin + len(data) < size:
        return _overlong(stream, begin, data, size, ahead, begun)
    lines = _split(data[:cut], begin, begun)[:most_lines]
    end = _end_of(lines, begin)
    rest = data[cut:]
    at_end = end == begin + cut and begin + len(data) >= size
    partial = _line(end, rest, begun and not lines) if rest and at_end else None
    return Window(begin, end, size, lines, partial, ahead)


def _overlong(stream: BinaryIO, begin: int, data: bytes, size: int, ahead: bytes, begun: bool) -> Window:
    """A line longer than a window: its beginning is shown, and the next line is looked for."""
    at = begin + len(data)
    while at < min(size, begin + SCAN_BYTES):
        piece = _pread(stream, at, _PIECE)
        if (place := piece.find(b"\n")) >= 0:
            line = RawLine(begin, data, at + place - begin, begun)
            return Window(begin, at + place + 1, size, [line], None, ahead)
        at += max(1, len(piece))
    at = min(at, size)
    return Window(begin, at, size, [RawLine(begin, data, at - begin, begun)], None, ahead)


def _backward(stream: BinaryIO, begin: int, data: bytes, size: int, most_lines: int, *, tail: bool) -> Window:
    first = data.find(b"\n") + 1
    begun = begin > 0 and _before(stream, begin, 1) != b"\n"
    if begun and 0 < first < len(data):
        begin, data, begun = begin + first, data[first:], False
    cut = data.rfind(b"\n") + 1 if tail else len(data)
    lines = _split(data[:cut], begin, begun)
    rest_begun = begun and not lines
    if len(lines) > most_lines:
        lines, begun = lines[-most_lines:], False
        begin = lines[0].offset
    end = _end_of(lines, begin) if tail else begin + cut
    partial = _line(end, data[cut:], rest_begun) if data[cut:] else None
    return Window(begin, end, size, lines, partial, _before(stream, begin))


def _split(data: bytes, begin: int, begun: bool) -> list[RawLine]:
    """Lines of bytes; where they end without a line end, that is a line too."""
    lines, at = [], begin
    pieces = data.split(b"\n")  # a carriage return inside of a line does not end it
    for piece in pieces if pieces[-1] else pieces[:-1]:
        lines.append(_line(at, piece, begun and at == begin))
        at += len(piece) + 1
    return lines


def _line(offset: int, data: bytes, begun: bool) -> RawLine:
    return RawLine(offset, data, len(data), begun)


def _end_of(lines: Sequence[RawLine], begin: int) -> int:
    return lines[-1].offset + lines[-1].bytes + 1 if lines else begin


def _before(stream: BinaryIO, place: int, most: int = BEFORE_BYTES) -> bytes:
    begin = max(0, place - most)
    return _pread(stream, begin, place - begin)


def _pread(stream: BinaryIO, offset: int, count: int) -> bytes:
    return os.pread(stream.fileno(), max(0, count), offset)
