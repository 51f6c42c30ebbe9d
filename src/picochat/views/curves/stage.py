"""What the events of one stage say, kept as columns: steps, validations, attempts, and what happened between them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from picochat.artifacts.metrics import METRICS
from picochat.views.curves.columns import Columns, Floats, numbers, seconds

MOST_POINTS = 400_000
"""Of a stage: some 40 MB. Beyond it the oldest are forgotten, and the answer says how many."""
MOST_ATTEMPTS = 256
MOST_MARKERS = 5_000
TEXT_CHARS = 200
FIELDS = {kind: sorted({m.field for m in METRICS.values() if m.kind == kind and m.field}) for kind in ("step", "eval")}
PUNCTUAL = frozenset(
    {
        "stage_started",
        "stage_finished",
        "checkpoint_saved",
        "resumed",
        "guard_skipped",
        "warning",
        "control_ack",
        "failed",
    }
)
"""Kinds that are a mark on the axis rather than a point of a curve."""


class Mark(NamedTuple):
    """An event on the axis. `offset` is where its line begins in the file; NaN is unknown."""

    kind: str
    seq: int | None
    offset: int
    attempt: int
    t: float
    step: float
    value: float
    text: str


@dataclass
class Attempt:
    """One start of the processes: seconds since 1970 of its first and last event in this stage, and why it began."""

    number: int
    began: float = math.nan
    ended: float = math.nan
    resumed: dict[str, Any] | None = None
    failed: dict[str, Any] | None = None
    first_step: float = math.inf


@dataclass
class StageEvents:
    """`steps` and `evals` have a column for each field of their events.

    Beside them stand `step`, `t` in seconds since 1970, `attempt` (a place in `attempts`) and `offset` in the file.
    """

    name: str
    most: int = MOST_POINTS
    attempts: list[Attempt] = field(default_factory=list)
    out_of_order: int = 0
    """Points that stood back within an attempt, or came after more attempts than are told apart."""

    def __post_init__(self) -> None:
        self.steps, self.evals = Columns(self.most), Columns(self.most)
        self.marks: deque[Mark] = deque(maxlen=MOST_MARKERS)
        self._places: dict[int, int] = {}
        self._reached: dict[tuple[str, int], float] = {}

    def columns(self, kind: str) -> Columns:
        return self.steps if kind == "step" else self.evals

    def add_points(self, kind: str, events: Sequence[dict[str, Any]], offsets: Sequence[int]) -> None:
        """Appends step or eval events in the order of the file. One without a step is none."""
        steps, times = numbers([event.get("step") for event in events]), seconds([event.get("t") for event in events])
        places = np.array([self._place(event) for event in events], dtype=np.float64)
        keep = self._in_order(kind, steps, places)
        self.out_of_order += int(np.isfinite(steps).sum() - keep.sum())
        for place in np.unique(places[places >= 0]).astype(int).tolist():
            self._touch(place, times[places == place], steps[(places == place) & keep])
        if not keep.any():
            return
        lines = np.array(offsets, dtype=np.float64)
        block = {"step": steps[keep], "t": times[keep], "attempt": places[keep], "offset": lines[keep]}
        names = [*FIELDS[kind], "tokens"] if kind == "step" else FIELDS[kind]
        kept = events if keep.all() else [event for event, wanted in zip(events, keep.tolist(), strict=True) if wanted]
        block |= {name: numbers([event.get(name) for event in kept]) for name in names}
        self.columns(kind).append(block)

    def add_mark(self, event: dict[str, Any], offset: int) -> None:
        """Keeps what happened, and what it says about an attempt."""
        place = self._place(event)
        t, step = float(seconds([event.get("t")])[0]), float(numbers([event.get("step")])[0])
        if place >= 0:
            self._touch(place, np.array([t]), np.empty(0))
            if event["kind"] == "resumed":
                self.attempts[place].resumed = event
            elif event["kind"] == "failed":
                self.attempts[place].failed = event
        seq, value = event.get("seq"), float(numbers([event.get("loss")])[0])
        known = seq if isinstance(seq, int) and not isinstance(seq, bool) else None
        number = self.attempts[place].number if place >= 0 else 0
        self.marks.append(Mark(event["kind"], known, offset, number, t, step, value, _words(event)))

    def knows(self, event: dict[str, Any]) -> bool:
        """Whether an event of its attempt came before."""
        return _attempt_of(event) in self._places

    def _place(self, event: dict[str, Any]) -> int:
        """Which of `attempts` an event belongs to; -1 beyond those that are told apart."""
        number = _attempt_of(event)
        place = self._places.get(number)
        if place is None:
            if len(self.attempts) >= MOST_ATTEMPTS:
                return -1
            place = self._places[number] = len(self.attempts)
            self.attempts.append(Attempt(number))
        return place

    def _touch(self, place: int, times: Floats, steps: Floats) -> None:
        attempt, known = self.attempts[place], times[np.isfinite(times)]
        if len(known):
            attempt.began = float(known.min()) if math.isnan(attempt.began) else min(attempt.began, float(known.min()))
            attempt.ended = float(known.max()) if math.isnan(attempt.ended) else max(attempt.ended, float(known.max()))
        if len(steps):
            attempt.first_step = min(attempt.first_step, float(steps.min()))

    def _in_order(self, kind: str, steps: Floats, places: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which points go forward in their attempt, and belong to the newest attempt at their place in the file."""
        newest = np.maximum.accumulate(np.maximum(places, self._newest(kind)))
        keep = np.isfinite(steps) & (places >= 0) & (places == newest)
        for place in np.unique(places[keep]).astype(int).tolist():
            mine = np.flatnonzero(keep & (places == place))
            reached = self._reached.get((kind, place), -math.inf)
            before = np.maximum.accumulate(np.concatenate(([reached], steps[mine])))
            keep[mine] = steps[mine] > before[:-1]
            self._reached[kind, place] = float(before[-1])
        return keep

    def _newest(self, kind: str) -> int:
        return max((place for known, place in self._reached if known == kind), default=0)


def _attempt_of(event: dict[str, Any]) -> int:
    number = event.get("attempt", 1)
    return number if type(number) is int and 0 <= number < 2**53 else 0


def _words(event: dict[str, Any]) -> str:
    """The words of an event, shortened: they are data of a run and shown as text alone."""
    found = [event.get(key) for key in ("code", "detail", "text", "request")]
    return ": ".join(text for text in found if isinstance(text, str) and text)[:TEXT_CHARS]
