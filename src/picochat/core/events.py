"""The event stream of a run: typed lines, append-only, flushed at once; the only source of curves and progress."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from picochat.core.clock import utc_now
from picochat.core.fs import raise_disk_error
from picochat.core.jsonio import canonical_json, finite, iter_jsonl
from picochat.core.redact import redact_tree

KINDS = frozenset(
    {
        "stage_started",
        "stage_finished",
        "step",
        "eval",
        "sample",
        "checkpoint_saved",
        "resumed",
        "guard_skipped",
        "warning",
        "control_ack",
        "spending",
        "failed",
    }
)


class EventWriter:
    """Appends events with a running number. A torn last line of a crash is cut off before the first append."""

    def __init__(self, path: Path, attempt: int = 1) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.attempt = attempt
        self._seq = _mend_tail(path)
        self._stream = open(path, "ab")

    def emit(self, kind: str, stage: str, **fields: Any) -> None:
        """Writes one event. Unknown kinds are a bug; NaN and infinity are written as null."""
        if kind not in KINDS:
            raise ValueError(f"unknown event kind {kind!r}")
        with self._lock:
            self._seq += 1
            head = {"seq": self._seq, "t": utc_now(), "attempt": self.attempt, "stage": stage, "kind": kind}
            try:
                self._stream.write(canonical_json(redact_tree(finite(head | fields))) + b"\n")
                self._stream.flush()
            except OSError as err:
                raise_disk_error(err, self._path)

    def close(self) -> None:
        self._stream.close()


class SilentEvents(EventWriter):
    """For ranks other than 0: what happens there is told by rank 0."""

    def __init__(self, attempt: int = 1) -> None:
        self.attempt = attempt

    def emit(self, kind: str, stage: str, **fields: Any) -> None:
        pass

    def close(self) -> None:
        pass


def iter_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the events of a run; an unfinished last line is left out, a missing file is empty."""
    if path.exists():
        yield from iter_jsonl(path, torn_tail=True)


def _mend_tail(path: Path) -> int:
    """Cuts an unfinished last line off and returns the last sequence number."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end != len(data):
        os.truncate(path, end)
    last = 0
    for event in iter_events(path):
        last = event.get("seq", last)
    return last
