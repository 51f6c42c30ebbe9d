"""Where threads meet: clients leave lanes, the engine's thread takes as many as it has slots.

A lane holds a slot from the moment when one is free for it, not from when it is first computed: so whether the queue is
full is known when a job is handed in. Everything here is done under one lock and none of it takes long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from picochat.core.errors import refuse
from picochat.inference.engine.job import Lane


class Desk:
    """Lanes that wait, lanes that were given a slot and not yet taken, and how many slots are held."""

    def __init__(self, slots: int, max_waiting_jobs: int) -> None:
        self._slots, self._max_waiting_jobs = slots, max_waiting_jobs
        self._changed = threading.Condition()
        self._waiting: deque[Lane] = deque()
        self._given: deque[Lane] = deque()
        self._busy = 0
        self._closed = False

    def put(self, lanes: Sequence[Lane]) -> None:
        """The lanes of one job, in order. Raises `engine.closed` or `engine.queue_full`, then none was taken."""
        with self._changed:
            if self._closed:
                refuse("engine.closed", "the engine is closed or being closed")
            waiting = self._count_jobs()
            if self._busy >= self._slots and waiting >= self._max_waiting_jobs:
                detail = f"{self._slots:,} answers are being made and {waiting:,} more requests wait"
                refuse("engine.queue_full", f"{detail}; {self._max_waiting_jobs:,} may")
            self._waiting.extend(lanes)
            self._give()
            self._changed.notify()

    def take(self) -> list[Lane]:
        """Lanes that were given a slot since the last call."""
        with self._changed:
            taken = list(self._given)
            self._given.clear()
            return taken

    def release(self) -> None:
        """A lane has left its slot."""
        with self._changed:
            self._busy -= 1
            self._give()

    def drop(self, ended: Callable[[Lane], bool]) -> list[Lane]:
        """Takes those out of the queue that need no slot any more."""
        with self._changed:
            lanes, self._waiting = self._waiting, deque()
            dropped = []
            for lane in lanes:
                (dropped if ended(lane) else self._waiting).append(lane)
            return dropped

    def wake(self) -> None:
        """Something changed that the engine's thread should look at."""
        with self._changed:
            self._changed.notify()

    def wait(self, until: Callable[[], bool]) -> None:
        """Sleeps until there is a lane to take or to drop, or `until` says so."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._given or self._waiting or self._closed or until()))

    def close(self) -> None:
        """From now on nothing is put."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def busy(self) -> int:
        """Slots that are held."""
        return self._busy

    @property
    def waiting_jobs(self) -> int:
        with self._changed:
            return self._count_jobs()

    def _count_jobs(self) -> int:
        return len({id(lane.job) for lane in self._waiting})

    def _give(self) -> None:
        while self._waiting and self._busy < self._slots:
            self._given.append(self._waiting.popleft())
            self._busy += 1
