"""Events of a run by byte offset: the newest first look, then forwards as the file grows or backwards on request.

A line that is no event is a row that says so: nothing of a torn or forged file is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, parse_json
from picochat.views.files.log_window import RawLine, Window, read_window
from picochat.views.plain import plain_text_of, plain_tree

LOOKED_AT_BYTES = 8 * 1024 * 1024
"""Of the file, for one answer: a filter that matches little says how far it looked."""
ANSWER_BYTES = 600_000
BROKEN_CHARS = 200
HEAD = ("seq", "t", "attempt", "stage", "kind")


class EventFilter(NamedTuple):
    """What an event must have; None asks for nothing. `text` is looked for in the line as it stands in the file."""

    kind: str | None = None
    stage: str | None = None
    rank: int | None = None
    text: str | None = None


class EventPage(NamedTuple):
    """Rows in the order of the file. `begin` and `end` are where a reader goes back and on; `whole` is false where the
    search ended before the page was full."""

    rows: list[dict[str, Any]]
    begin: int
    end: int
    size: int
    whole: bool


def read_events(
    stream: BinaryIO, asked: EventFilter, limit: int, *, offset: int | None = None, before: int | None = None
) -> EventPage:
    """At most `limit` events after `offset`, else ahead of `before`, else the newest."""
    return _forward(stream, asked, limit, offset) if offset is not None else _back(stream, asked, limit, before)


def _forward(stream: BinaryIO, asked: EventFilter, limit: int, offset: int) -> EventPage:
    rows: list[dict[str, Any]] = []
    window = read_window(stream, offset=offset)
    begin = end = window.begin
    room = ANSWER_BYTES
    while window.lines:
        for line in window.lines:
            row = _row(line, asked)
            room -= _cost(row)
            if row is not None and (len(rows) == limit or (room < 0 and rows)):
                return EventPage(rows, begin, line.offset, window.size, True)
            rows += [row] if row else []
            end = line.offset + line.bytes + 1
        end = window.end
        if end - begin >= LOOKED_AT_BYTES:
            return EventPage(rows, begin, end, window.size, False)
        window = read_window(stream, offset=end)
    return EventPage(rows, begin, end, window.size, True)


def _back(stream: BinaryIO, asked: EventFilter, limit: int, before: int | None) -> EventPage:
    rows: list[dict[str, Any]] = []
    window = read_window(stream, before=before)
    begin, end, size = window.begin, window.end, window.size
    room = ANSWER_BYTES
    while True:
        for line in reversed(window.lines):
            row = _row(line, asked)
            room -= _cost(row)
            if row is not None and (len(rows) == limit or (room < 0 and rows)):
                return EventPage(rows[::-1], line.offset + line.bytes + 1, end, size, True)
            rows += [row] if row else []
        begin = window.begin
        if begin == 0 or end - begin >= LOOKED_AT_BYTES:
            return EventPage(rows[::-1], begin, end, size, begin == 0)
        window = _earlier(stream, begin)


def _earlier(stream: BinaryIO, begin: int) -> Window:
    return read_window(stream, before=begin)


def _row(line: RawLine, asked: EventFilter) -> dict[str, Any] | None:
    """The event of a line when it is asked for; a line that is none is asked for as long as nothing else is."""
    if not line.data.strip() and line.bytes == len(line.data):
        return None
    if asked.kind is not None and asked.kind.encode() not in line.data:  # most lines are seen through at once
        return None
    if asked.text is not None and asked.text.lower().encode() not in line.data.lower():
        return None
    if line.begun or line.bytes > len(line.data):
        return _broken(line, "longer than can be shown") if asked == EventFilter() else None
    try:
        event = parse_json(line.data, "the line")
    except PicochatError as err:
        return _broken(line, err.detail) if asked == EventFilter() else None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return _broken(line, "the line is no event") if asked == EventFilter() else None
    return _event(line, event) if _fits(event, asked) else None


def _fits(event: Mapping[str, Any], asked: EventFilter) -> bool:
    wanted = {"kind": asked.kind, "stage": asked.stage, "rank": asked.rank}
    return all(value is None or event.get(key) == value for key, value in wanted.items())


def _event(line: RawLine, event: Mapping[str, Any]) -> dict[str, Any]:
    shown = plain_tree(dict(event))
    head = {key: shown.pop(key, None) for key in HEAD}
    return {"offset": line.offset, **head, "fields": shown, "problem": ""}


def _broken(line: RawLine, problem: str) -> dict[str, Any]:
    text = plain_text_of(line.data.decode("utf-8", "replace"), BROKEN_CHARS)
    said = f"{plain_text_of(problem, BROKEN_CHARS)}: {text}"
    return {"offset": line.offset, **dict.fromkeys(HEAD), "fields": {}, "problem": said}


def _cost(row: dict[str, Any] | None) -> int:
    return len(canonical_json(row)) if row is not None else 0
