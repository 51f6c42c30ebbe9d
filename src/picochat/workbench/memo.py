"""What was read from files, kept until one of the files is another one.

A file is the same while its size, time of change in nanoseconds and inode are: artifacts are replaced, never edited in
place, and a log that grows changes its size.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """Size, time of change and inode; None for what is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


class Memo:
    """A bounded cache; safe to use from several threads. Two threads may build the same thing, one of them is kept."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[tuple[Stamp, ...], Any]] = OrderedDict()

    def peek(self, key: Hashable, paths: Iterable[Path]) -> Any:
        """What was made of these files as they are now; None when nothing was, and nothing is built."""
        stamps = tuple(stamp(path) for path in paths)
        with self._lock:
            kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] == stamps else None

    def read(self, key: Hashable, paths: Iterable[Path], build: Callable[[], T]) -> T:
        """What `build` makes of these files; built again when one of them is another one than last time."""
        stamps = tuple(stamp(path) for path in paths)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == stamps:
                self._kept.move_to_end(key)
                return kept[1]
        made = build()
        with self._lock:
            self._kept[key] = stamps, made
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
