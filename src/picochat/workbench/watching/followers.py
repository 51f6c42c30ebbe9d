"""The events of runs as they were read so far, a follower a file, bounded by the points that they hold together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picochat.views.curves.follow import EventFollower

MOST_FILES = 64
MOST_POINTS = 500_000
"""Some 50 MB. One file may hold as many; a longer one forgets its oldest points by itself."""


class Followers:
    """Safe to use from several threads: questions about one file wait for each other, others do not."""

    def __init__(self, most_files: int = MOST_FILES, most_points: int = MOST_POINTS) -> None:
        self._most_files, self._most_points = most_files, most_points
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, tuple[EventFollower, int]] = OrderedDict()

    @contextmanager
    def reading(self, path: Path) -> Iterator[EventFollower]:
        """The follower of a file, read to its end and locked for as long as the block lasts."""
        with self._lock:
            follower, points = self._kept.setdefault(path, (EventFollower(path), 0))
            self._kept.move_to_end(path)
        with follower.lock:
            try:
                yield follower.read()
            finally:
                points = follower.points
        with self._lock:
            if path in self._kept and self._kept[path][0] is follower:
                self._kept[path] = follower, points
            self._shrink()

    def _shrink(self) -> None:
        """Lets go of what was asked for longest ago; the newest stays, whatever its size."""
        while len(self._kept) > 1 and (len(self._kept) > self._most_files or self._held() > self._most_points):
            self._kept.popitem(last=False)

    def _held(self) -> int:
        return sum(points for _, points in self._kept.values())
