# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""Which rank is gone when a collective fails: each counts in the launcher's store, whoever stops counting is named.

The error of a collective says that a peer is missing, not which one. A thread of each rank writes a counter with what
it is doing; a process that is dead or frozen writes no more, on this host or on another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import torch.distributed as dist

BEAT_S = 0.5
WATCH_S = 2.0
"""Four beats: long enough to tell a silent rank from a slow one."""


class Beat(NamedTuple):
    """The last that was heard of a rank."""

    count: int
    phase: str


class PeerBeats:
    """Counts for this rank and reads the others, over a connection of its own that no other call can block."""

    def __init__(self, store: dist.Store, rank: int, size: int, phase: Callable[[], str]) -> None:
        self._store, self._rank, self._size, self._phase = store, rank, size, phase
        self._count = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="peer-beats", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(timeout=5)

    def silent(self) -> list[tuple[int, str]]:
        """(rank, what it was doing) of the others that do not count any more."""
        before = self._read()
        time.sleep(WATCH_S)
        after = self._read()
        return [
            (rank, after[rank].phase if rank in after else "never heard of")
            for rank in range(self._size)
            if rank != self._rank and before.get(rank) == after.get(rank)
        ]

    def _read(self) -> dict[int, Beat]:
        found = {}
        for rank in range(self._size):
            key = f"beat/{rank}"
            with self._lock:
                if not self._store.check([key]):
                    continue
                count, _, phase = self._store.get(key).decode().partition("|")
            found[rank] = Beat(int(count), phase)
        return found

    def _run(self) -> None:
        while not self._ended.is_set():
            self._count += 1
            try:
                with self._lock:
                    self._store.set(f"beat/{self._rank}", f"{self._count}|{self._phase()}")
            except (RuntimeError, dist.DistError):  # the launcher is gone: nobody is left to read it
                return
            self._ended.wait(BEAT_S)
