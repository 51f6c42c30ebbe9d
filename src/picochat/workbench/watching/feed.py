"""What changed lately, numbered: whoever knows a number can ask what came after it.

Numbers go up for ever, across restarts too, because a feed begins at the second in which it was made: a number of an
earlier start is recognised as too old, and never taken for one of now.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from picochat.core.clock import utc_seconds

Kind = Literal["runs", "status", "events", "gate", "reports", "checkpoints", "logs", "processes", "plans"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST = 4096
A_SECOND = 1_000_000
"""So many numbers a second are free before two starts could meet; all of them stay below 2^53, as JavaScript needs."""


class Change(NamedTuple):
    """`run` None: of no run, or of any."""

    run: str | None
    kind: Kind


class Invalidation(NamedTuple):
    """What was read of this run and kind before is out of date."""

    cursor: int
    run: str | None
    kind: Kind


class Since(NamedTuple):
    """`complete` False: nobody knows any more what came after that number; whatever was read may be out of date."""

    cursor: int
    events: list[Invalidation]
    complete: bool


class Feed:
    """The newest changes; safe to use from several threads."""

    def __init__(self, first: int | None = None, most: int = MOST) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Invalidation] = deque(maxlen=most)
        self._first = self._newest = utc_seconds() * A_SECOND if first is None else first

    @property
    def newest(self) -> int:
        """The number of the newest change, or the one at which the feed began."""
        return self._newest

    def add(self, changes: Iterable[Change]) -> None:
        with self._lock:
            for change in changes:
                self._newest += 1
                self._kept.append(Invalidation(self._newest, change.run, change.kind))

    def since(self, cursor: int) -> Since:
        """What came after a number, each run and kind once, in order."""
        with self._lock:
            oldest = self._kept[0].cursor - 1 if self._kept else self._newest
            if not oldest <= cursor <= self._newest:
                return Since(self._newest, [], False)
            found = [event for event in self._kept if event.cursor > cursor]
        last = {(event.run, event.kind): event for event in found}
        return Since(self._newest, sorted(last.values()), True)


def everything(cursor: int) -> list[Invalidation]:
    """For whoever has missed something: all that was read of any run is out of date."""
    return [Invalidation(cursor, None, kind) for kind in KINDS]
