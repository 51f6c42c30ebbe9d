"""Time and money of a run, for whoever looks at it: how long a step takes, what is left, what was billed, what will be.

    events.jsonl -> RunAccount.read -> Account

The dollars are those that the run itself counts (`meter`): billed seconds times rate. Times of steps are differences
of event times, so what lies between two steps, as validation and saves, is in them.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import open_file
from picochat.pipeline.spending.config import LaunchConfig
from picochat.pipeline.spending.meter import WARN_FRAC, Bill
from picochat.views.runs.run_state import RUNNING, RunState

RECENT_STEPS = 200
"""Differences of which the band is made: a run that became slower shows it soon."""
FEWEST_STEPS = 4
QUARTILES = (0.25, 0.5, 0.75)
MAX_LINE_BYTES = 4 << 20


class Account(NamedTuple):
    """None is unknown, never 0. A triple is the lower quartile, the median and the upper quartile of step times."""

    state: str
    """Of the process: running, stalled, crashed, stopped, failed, finished, unknown."""
    stage: str | None
    step: int | None
    steps: int | None
    step_s: tuple[float, float, float] | None
    n: int
    """Step times behind the triple."""
    eta_s: tuple[float, float, float] | None
    """To the end of this stage; None of a run that is not running."""
    rate_usd_per_gpu_hour: float | None
    gpus: int
    usd_per_hour: float | None
    """Of all GPUs together."""
    billed_s: float | None
    accrued_usd: float | None
    """billed_s times usd_per_hour."""
    projected_usd: tuple[float, float, float] | None
    """At the end of this stage."""
    cap_usd: float | None
    warns_at_usd: float | None
    stops_at_usd: float | None
    """Where the run saves and stops, so that the last save is within the cap."""
    spent_frac: float | None
    """Of the cap."""


class RunAccount:
    """Reads the events of one run as they come; later calls read only what was appended. Safe to use from threads."""

    def __init__(self, config: LaunchConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._bill = Bill(self._config)
        self._step_s: deque[float] = deque(maxlen=RECENT_STEPS)
        self._last: tuple[Any, Any, int, datetime.datetime] | None = None

    def read(self, events: Path, state: RunState) -> Account:
        """The account at this moment. Raises OSError."""
        with self._lock:
            self._go_on(events)
            return self._account(state)

    def _go_on(self, path: Path) -> None:
        for event in self._new_events(path):
            try:
                self._bill.add(event)
                self._add_step(event)
            except (KeyError, TypeError, ValueError):
                continue  # no event that this program writes

    def _new_events(self, path: Path) -> Iterator[dict[str, Any]]:
        try:
            stream = open_file(path)
        except (FileNotFoundError, IsADirectoryError):
            self._forget()
            return
        with stream:
            if stream.seek(0, 2) < self._offset:
                self._forget()
            stream.seek(self._offset)
            while (line := stream.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                self._offset += len(line)
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event

    def _add_step(self, event: Mapping[str, Any]) -> None:
        if event.get("kind") != "step":
            return
        when = datetime.datetime.fromisoformat(str(event["t"]).replace("Z", "+00:00"))
        place, step = (event.get("attempt"), event.get("stage")), int(event["step"])
        if self._last is None or self._last[:2] != place:
            self._step_s.clear()
        elif step > self._last[2]:
            self._step_s.append((when - self._last[3]).total_seconds() / (step - self._last[2]))
        self._last = (*place, step, when)

    def _account(self, state: RunState) -> Account:
        config = self._config
        priced = config.rate_usd_per_gpu_hour is not None
        band = quartiles(self._step_s) if self._last and self._last[1] == state.stage else None
        left = state.steps - state.step if state.steps is not None and state.step is not None else None
        eta = _scaled(band, left) if band and left is not None and state.process == RUNNING else None
        usd = max(self._bill.usd, state.spent_usd or 0.0)
        return Account(
            state=state.process,
            stage=state.stage,
            step=state.step,
            steps=state.steps,
            step_s=band,
            n=len(self._step_s) if band else 0,
            eta_s=eta,
            rate_usd_per_gpu_hour=config.rate_usd_per_gpu_hour,
            gpus=config.gpus,
            usd_per_hour=config.usd_per_s * 3600 if priced else None,
            billed_s=usd / config.usd_per_s if priced else None,
            accrued_usd=usd if priced else None,
            projected_usd=_scaled(eta, config.usd_per_s, usd) if priced and eta else None,
            cap_usd=config.cap_usd,
            warns_at_usd=WARN_FRAC * config.cap_usd if config.cap_usd else None,
            stops_at_usd=max(0.0, config.cap_usd - config.reserve_s * config.usd_per_s) if config.cap_usd else None,
            spent_frac=usd / config.cap_usd if config.cap_usd else None,
        )


def launch_config(store: RunStore) -> LaunchConfig:
    """Cap and rate of a run; without a record that can be read nothing has a price."""
    try:
        record = RunRecord.from_json(store.read(layout.RUN), layout.RUN)
        return LaunchConfig.from_dict(record.config.get("launch", {}), "launch")
    except PicochatError:
        return LaunchConfig()


def read_account(store: RunStore, state: RunState) -> Account:
    """The account of a run, read once."""
    return RunAccount(launch_config(store)).read(store.path(layout.EVENTS), state)


def quartiles(values: deque[float]) -> tuple[float, float, float] | None:
    """Lower quartile, median and upper quartile, between the nearest values; None of fewer than FEWEST_STEPS."""
    if len(values) < FEWEST_STEPS:
        return None
    ordered = sorted(values)
    low, middle, high = (_at(ordered, frac * (len(ordered) - 1)) for frac in QUARTILES)
    return low, middle, high


def _at(ordered: list[float], place: float) -> float:
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _scaled(band: tuple[float, float, float], by: float, plus: float = 0.0) -> tuple[float, float, float]:
    low, middle, high = (plus + value * by for value in band)
    return low, middle, high
