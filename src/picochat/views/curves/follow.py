"""events.jsonl as it grows: each read parses only the bytes that are new, and nothing in the file can end it.

A file that was replaced, cut or written again starts from its beginning. A torn last line is left for the next read.
Lines that are no events are counted. The file is opened without following a link.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from picochat.core.confined import open_below, reason_of
from picochat.views.curves.stage import MOST_POINTS, PUNCTUAL, StageEvents

CHUNK_BYTES = 1024 * 1024
MAX_LINE_CHUNKS = 4
"""Longest line, in chunks: what is longer is no event."""
MOST_STAGES = 16
STAGE_CHARS = 64
ANCHOR_BYTES = 256
TOGETHER = 512
"""Lines that are parsed in one call."""
Pending = dict[tuple[str, str], tuple[list[dict[str, Any]], list[int]]]
"""Points by stage and kind, with the places of their lines."""
FOUND, MISSING, UNREADABLE = "ok", "missing", "unreadable"


class EventFollower:
    """What was read of one file so far. Hold `lock` while reading it and while using what was read."""

    def __init__(self, path: Path, most_points: int = MOST_POINTS, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.lock = threading.Lock()
        self._path, self._most, self._chunk = path, most_points, chunk_bytes
        self._restart(None)

    def _restart(self, identity: tuple[int, int] | None) -> None:
        self._identity, self._anchor, self._anchor_bytes = identity, b"", 0
        self._skipping = False
        self.offset = 0
        """Bytes that were read; all of them are whole lines."""
        self.state, self.why = FOUND, ""
        self.lines = self.unreadable = 0
        self.first_unreadable: int | None = None
        """Offset of the first line that is no event."""
        self.stages: dict[str, StageEvents] = {}

    @property
    def points(self) -> int:
        """Rows in memory."""
        return sum(len(stage.steps) + len(stage.evals) for stage in self.stages.values())

    def read(self) -> EventFollower:
        """Takes in what was appended. A file that is missing or cannot be read is a state, not an error."""
        try:
            with open_below(self._path.parent, self._path.name) as stream:
                self._read_from(stream.fileno())
        except FileNotFoundError:
            self._restart(None)
            self.state = MISSING
        except OSError as err:
            self._restart(None)
            self.state, self.why = UNREADABLE, reason_of(err)
        return self

    def _read_from(self, handle: int) -> None:
        found = os.fstat(handle)
        identity = found.st_dev, found.st_ino
        if identity != self._identity or found.st_size < self.offset or not self._is_same_text(handle):
            self._restart(identity)
        size = self._chunk
        while data := os.pread(handle, size, self.offset):
            used = data.rfind(b"\n") + 1
            if used:
                self._take(data[:used])
                self._anchor_bytes = min(used, ANCHOR_BYTES)
                self._anchor = hashlib.sha256(data[used - self._anchor_bytes : used]).digest()
                self.offset, size = self.offset + used, self._chunk
            elif len(data) < size:
                break  # torn: its end is still to come
            elif size < self._chunk * MAX_LINE_CHUNKS:
                size *= 2
            else:
                self._overlong(len(data))

    def _is_same_text(self, handle: int) -> bool:
        """Whether the bytes before the place where reading stopped are those of then."""
        if not self._anchor:
            return True
        data = os.pread(handle, self._anchor_bytes, self.offset - self._anchor_bytes)
        return hashlib.sha256(data).digest() == self._anchor

    def _overlong(self, count: int) -> None:
        """A line longer than a chunk is passed over, once counted."""
        if not self._skipping:
            self._count_unreadable(self.offset)
        self._skipping, self._anchor = True, b""
        self.offset += count

    def _count_unreadable(self, offset: int) -> None:
        self.unreadable += 1
        if self.first_unreadable is None:
            self.first_unreadable = offset

    def _take(self, data: bytes) -> None:
        """Sorts the events of whole lines by stage and kind."""
        points: Pending = {}
        at = self.offset
        lines = data.split(b"\n")[:-1]
        if self._skipping:
            at += len(lines[0]) + 1
            lines, self._skipping = lines[1:], False
        for line, event in zip(lines, _parse(lines), strict=True):
            kind, stage = (event.get("kind"), event.get("stage")) if isinstance(event, dict) else (None, None)
            if not isinstance(kind, str) or not isinstance(stage, str):
                if line.strip():
                    self._count_unreadable(at)
            elif kind in ("step", "eval"):
                events, offsets = points.setdefault((stage, kind), ([], []))
                events.append(event)
                offsets.append(at)
            elif kind in PUNCTUAL and (found := self._stage(stage)) is not None:
                if not found.knows(event):
                    self._flush(points)  # attempts are numbered in the order of the file
                found.add_mark(event, at)
            at += len(line) + 1
        self.lines += len(lines)
        self._flush(points)

    def _flush(self, points: Pending) -> None:
        for (stage, kind), (events, offsets) in points.items():
            if (found := self._stage(stage)) is not None:
                found.add_points(kind, events, offsets)
        points.clear()

    def _stage(self, name: str) -> StageEvents | None:
        """A stage by its name; None for one more than are kept apart."""
        found = self.stages.get(name)
        if found is None and len(self.stages) < MOST_STAGES and len(name) <= STAGE_CHARS:
            found = self.stages[name] = StageEvents(name, self._most)
        return found


def _parse(lines: list[bytes]) -> list[Any]:
    """The documents of lines, None for a line that is none."""
    found: list[Any] = []
    for begin in range(0, len(lines), TOGETHER):
        found += _parse_block(lines[begin : begin + TOGETHER])
    return found


def _parse_block(lines: list[bytes]) -> list[Any]:
    """Lines as one array: a third faster than a call a line, and only where that gives a document for each."""
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]")
        if len(found) == len(lines):
            return found
    except (ValueError, RecursionError):
        pass
    return [_parse_one(line) for line in lines]


def _parse_one(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def iter_stages(follower: EventFollower) -> Iterator[tuple[str, StageEvents]]:
    """Stages that have points, in the order of the file."""
    return ((name, stage) for name, stage in follower.stages.items() if len(stage.steps) or len(stage.evals))
