"""status.json: written every two seconds by a thread of its own, so that a long step is not taken for a stall."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.errors import PicochatError
from picochat.core.jsonio import finite, pretty_json, read_json
from picochat.core.log import LOGGER
from picochat.core.redact import redact_tree
from picochat.pipeline.control import STOP, STOP_NOW
from picochat.stages.contract import StopFlag
from picochat.views.runs.run_state import process_start

INTERVAL_S = 2.0
RECORD_BEATS = 15
"""Beats between two records of what was spent: what a crash forgets at most is half a minute."""


class Status(Protocol):
    """What the runner tells about itself at the end."""

    def close(self, state: str, error: dict[str, Any] | None = None) -> None: ...


class Meter(Protocol):
    """Counts what a run costs (see `pipeline.spending.meter`)."""

    def tick(self) -> dict[str, Any]: ...

    def record(self) -> None: ...


class NoStatus:
    """For ranks other than 0: status.json is rank 0's."""

    def __enter__(self) -> NoStatus:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self, state: str, error: dict[str, Any] | None = None) -> None:
        pass


class StatusThread:
    """Publishes `live` as status.json and listens to control.json while a run is working."""

    def __init__(
        self,
        store: RunStore,
        live: dict[str, Any],
        stop: StopFlag,
        attempt: int,
        acknowledge: Callable[[str], None] = lambda request: None,
        interval_s: float = INTERVAL_S,
        meter: Meter | None = None,
    ) -> None:
        self._store, self._live, self._stop, self._acknowledge = store, live, stop, acknowledge
        self._attempt, self._interval_s, self._meter = attempt, interval_s, meter
        self._beat = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        store.path(layout.CONTROL).unlink(missing_ok=True)

    def __enter__(self) -> StatusThread:
        self.write("running")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def close(self, state: str, error: dict[str, Any] | None = None) -> None:
        """Writes the last status: finished, failed, stopped or blocked."""
        self._ended.set()
        self._thread.join()  # or its last "running" could replace this one
        if self._meter:
            self._meter.record()
        self.write(state, error)

    def write(self, state: str, error: dict[str, Any] | None = None) -> None:
        self._beat += 1
        pid = os.getpid()
        status = {
            "state": state,
            "host": platform.node(),
            "pid": pid,
            "process_started": process_start(pid),
            "attempt": self._attempt,
            "heartbeat": self._beat,
            "beat_at_s": round(time.monotonic(), 3),
            "updated_at": utc_now(),
            "error": error,
            **(self._meter.tick() if self._meter else {}),
            **self._live,
        }
        fs.write_volatile(self._store.path(layout.STATUS), pretty_json(redact_tree(finite(status))))

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            try:
                self.write("running")
                self._read_control()
                self._record_spending()
            except PicochatError as err:
                LOGGER.warning("status: %s", err.detail)

    def _record_spending(self) -> None:
        if self._meter and self._beat % RECORD_BEATS == 0:
            self._meter.record()

    def _read_control(self) -> None:
        path = self._store.path(layout.CONTROL)
        if self._stop.now or not path.is_file():
            return
        found = read_json(path)
        request = found.get("request") if isinstance(found, dict) else None
        if request == STOP_NOW or (request == STOP and not self._stop.requested):
            self._stop.now = request == STOP_NOW  # before the reason, which other threads look at
            self._stop.reason = self._stop.reason or "asked for by control.json"
            self._acknowledge(str(request))
