"""For how long the heartbeat of a run has been the same: all that can be told of a process on another host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from picochat.workbench.memo import Memo


class Heartbeats:
    """Remembers when each run was first seen with the heartbeat that it has. Safe to use from several threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Any, float]] = {}

    def still_s(self, run: str, status: Mapping[str, Any]) -> float:
        """Seconds since this heartbeat was seen first; 0 for a new one."""
        now, beat = self._monotonic(), (status.get("attempt"), status.get("heartbeat"))
        with self._lock:
            known = self._seen.get(run)
            if known is None or known[0] != beat:
                self._seen[run] = beat, now
                return 0.0
            return now - known[1]


def heartbeats_of(memo: Memo, monotonic: Callable[[], float]) -> Heartbeats:
    """The one of a server."""
    return memo.read("heartbeats", (), lambda: Heartbeats(monotonic))
