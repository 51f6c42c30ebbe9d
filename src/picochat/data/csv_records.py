r"""CSV in bounded memory: where a record ends is found first, and only a record within the limit is parsed.

The standard reader gathers an open field without bound and then goes on in the middle of it. Here a record is the
lines up to the first newline outside of quotes, by the rules of that reader: a quote opens a field at its very start,
two quotes inside stand for one, and what follows a closing quote belongs to the field.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from picochat.data.lines import MAX_ROW_BYTES, SKIP_BYTES

Fields = list[str] | str
"""The fields of a record, or the reason why it has none."""
_START, _INSIDE, _QUOTED, _QUOTE = range(4)
"""States: a field may begin; in a bare field; in quotes; after a quote in quotes, which closes them or is the first
of two."""
_IN_QUOTES = re.compile(rb'[^"]*+(?:""[^"]*+)*+')
"""Up to the first quote that is not doubled; possessive, so that nothing is kept to go back to."""


def iter_csv_records(stream: io.BufferedReader, limit: int = MAX_ROW_BYTES) -> Iterator[Fields]:
    """The fields of every record, the header among them; `row_too_long` or `row_broken` instead. Empty lines are none.

    Bytes that are not UTF-8 come as lone surrogates (PEP 383).
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    for record in _iter_records(stream, limit):
        if isinstance(record, str):
            yield record
        elif record.strip(b"\r\n"):
            yield _parse(record)


def _iter_records(stream: io.BufferedReader, limit: int) -> Iterator[bytes | str]:
    """The bytes of each record with its newline, or a reason: over the limit, or a quote is open at the file's end."""
    record = bytearray()
    state = _START
    while line := stream.readline(limit + 1 - len(record)):
        state = scan(line, state)
        record += line
        ended = line.endswith(b"\n") and state != _QUOTED
        if not ended and len(record) <= limit:
            continue
        if ended:
            yield bytes(record)
        else:
            line, record = b"", bytearray()
            _skip_record(stream, state)
            yield "row_too_long"
        record, state = bytearray(), _START
    if record:
        yield "row_broken" if state == _QUOTED else bytes(record)


def _skip_record(stream: io.BufferedReader, state: int) -> None:
    """Reads up to the end of a record that has been read up to `state`."""
    while True:
        if state == _QUOTED:
            ahead = stream.peek(1)
            inside = _IN_QUOTES.match(ahead).end()  # pyright: ignore[reportOptionalMemberAccess]
            state = _QUOTED if inside == len(ahead) else _QUOTE
            piece = stream.read(inside + (state == _QUOTE))
        else:
            piece = stream.readline(SKIP_BYTES)
            state = scan(piece, state)
            if piece.endswith(b"\n") and state != _QUOTED:
                return
        if not piece:
            return


def scan(piece: bytes, state: int) -> int:
    """The state after some bytes of a record. A newline outside of quotes stands only at the end of them."""
    at, end = 0, len(piece)
    while at < end:
        if state == _QUOTED:
            at = _IN_QUOTES.match(piece, at).end()  # pyright: ignore[reportOptionalMemberAccess]
            if at == end:
                return _QUOTED
            at, state = at + 1, _QUOTE
        elif state == _QUOTE:
            state = _QUOTED if piece[at] == 0x22 else _INSIDE
            at += state == _QUOTED
        elif state == _START and piece[at] == 0x22:
            at, state = at + 1, _QUOTED
        else:
            found = piece.find(b',"', at)
            if found < 0:
                return _START if piece.endswith(b",") else _INSIDE
            at, state = found + 2, _QUOTED
    return state


def _parse(record: bytes) -> Fields:
    try:
        rows = list(csv.reader([record.decode("utf-8", errors="surrogateescape")]))
    except csv.Error:
        return "row_broken"
    return rows[0] if len(rows) == 1 else "row_broken"
