"""Events without reading all of them: the last ones of a file, and the rare ones of a file that grows.

A training writes many thousands of step events between two of the others; a list of runs asks only for the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from picochat.core.confined import open_below
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json

TAIL_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is no event that this program writes, and is passed over."""
BLOCK_BYTES = 8 * 1024 * 1024
Event = dict[str, Any]


def read_last_event(path: Path) -> Event | None:
    """The newest whole event with a kind and a time; None for a file without one.

    Only the end of the file is read; an unfinished last line, as a crash leaves it, is passed over.
    Raises OSError for what is no regular file or cannot be read.
    """
    size = TAIL_BYTES
    try:
        with open_below(path.parent, path.name) as stream:
            end = stream.seek(0, 2)
            while True:
                stream.seek(max(0, end - size))
                found = _last_of(stream.read(size), whole=size >= end)
                if found is not None or size >= min(end, MAX_LINE_BYTES):
                    return found
                size *= 8
    except FileNotFoundError:
        return None


def _last_of(data: bytes, whole: bool) -> Event | None:
    """The last event among whole lines; the first line is one only where nothing stands before it."""
    lines = data[: data.rfind(b"\n") + 1].split(b"\n")[0 if whole else 1 : -1]
    return next(filter(None, map(parse_event, reversed(lines))), None)


def parse_event(line: bytes) -> Event | None:
    """The event of a line; None for what is none."""
    try:
        event = parse_json(line, "an event")
    except PicochatError:
        return None
    return event if isinstance(event, dict) and {"kind", "t"} <= event.keys() else None


class EventScan:
    """The rare events of one file, found by their bytes: later calls read only what was appended since.

    Beside the events it keeps when each attempt was last heard of. Safe to use from several threads.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)
        self._marks = [f'"kind":"{kind}"'.encode() for kind in sorted(self._kinds)]
        self._lock = threading.Lock()
        self._forget(None)

    def _forget(self, inode: int | None) -> None:
        self._inode, self._offset = inode, 0
        self._events: list[Event] = []
        self._heard: dict[int, str] = {}
        self._before: bytes = b""

    def read(self, path: Path) -> tuple[list[Event], dict[int, str]]:
        """(events of the kinds, in their order; time of the last event of each attempt).

        A file that was replaced or cut is read from its start. A missing one is empty.
        Raises OSError for what is no regular file or cannot be read.
        """
        with self._lock:
            try:
                with open_below(path.parent, path.name) as stream:
                    self._go_on(stream)
            except FileNotFoundError:
                self._forget(None)
            return list(self._events), dict(self._heard)

    def _go_on(self, stream: Any) -> None:
        inode, size = _identity(stream)
        if inode != self._inode or size < self._offset:
            self._forget(inode)
        stream.seek(self._offset)
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            data = rest + block
            end = data.rfind(b"\n") + 1
            self._take(data[:end])
            self._offset += end
            rest = data[end:]
            if len(rest) > MAX_LINE_BYTES:
                break  # no event: what follows cannot be told apart from it
        self._hear(self._before)

    def _take(self, data: bytes) -> None:
        """Whole lines: those that hold one of the marks are parsed, the others only passed."""
        places = sorted({data.rfind(b"\n", 0, place) + 1 for mark in self._marks for place in _places(data, mark)})
        for begin in places:
            event = parse_event(data[begin : data.index(b"\n", begin)])
            if event is None or event["kind"] not in self._kinds:
                continue
            if self._events and event.get("attempt") != self._events[-1].get("attempt"):
                self._hear(_line_before(data, begin) or self._before)
            self._events.append(event)
        if data:
            self._before = _line_before(data, len(data))

    def _hear(self, line: bytes) -> None:
        event = parse_event(line) if line else None
        if event is not None and isinstance(event.get("attempt"), int):
            self._heard[event["attempt"]] = str(event["t"])


def _identity(stream: Any) -> tuple[int, int]:
    found = os.fstat(stream.fileno())
    return found.st_ino, found.st_size


def _places(data: bytes, mark: bytes) -> Iterable[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


def _line_before(data: bytes, end: int) -> bytes:
    """The line that ends where `end` begins a new one."""
    return data[data.rfind(b"\n", 0, max(0, end - 1)) + 1 : max(0, end - 1)]
