"""What happened, on the axis of the curves: checkpoints, validations, rejected steps, spikes, warnings, ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from picochat.views.curves.axes import Known, began, build_axis, pauses, place_steps
from picochat.views.curves.follow import EventFollower
from picochat.views.curves.known import build_references
from picochat.views.curves.smooth import smooth_line
from picochat.views.curves.stage import Mark, StageEvents

MOST_MARKERS = 500
SPIKE_DEVIATIONS = 8.0
"""A loss that stands so many mean deviations above the smoothed one before it."""
SPIKE_WEIGHT = 0.95
KNOWN_BEFORE_JUDGING = 32
RANK = ("failed", "spike", "guard_skipped", "resumed", "warning", "stage_started", "stage_finished", "control_ack")
"""Which kinds stay when there are too many; the rest comes after them, the newest first."""


def build_markers(events: EventFollower, root: Path, name: str, axis: str, known: Known) -> dict[str, Any]:
    """Markers in the order of the axis, how many were left out, and the reference lines."""
    stage = events.stages.get(name)
    if stage is None:
        return {"stage": name, "axis": axis, "markers": [], "left_out": 0, "references": []}
    found = [*_events(stage, axis, known), *_validations(stage, axis, known), *_spikes(stage, axis, known)]
    chosen = sorted(found, key=lambda mark: (_rank(mark["kind"]), -(mark["t"] or 0)))[:MOST_MARKERS]
    return {
        "stage": name,
        "axis": axis,
        "markers": sorted(chosen, key=lambda mark: (mark["x"] is None, mark["x"])),
        "left_out": len(found) - len(chosen),
        "references": [reference._asdict() for reference in build_references(root, stage, axis, known)],
    }


def _rank(kind: str) -> int:
    return RANK.index(kind) if kind in RANK else len(RANK)


def _events(stage: StageEvents, axis: str, known: Known) -> list[dict[str, Any]]:
    marks = list(stage.marks)
    times, steps = np.array([mark.t for mark in marks]), np.array([mark.step for mark in marks])
    places = _places_of_time(stage, times, marks, axis) if axis in ("wall", "active") else None
    if places is None:
        places = place_steps(stage, _with_steps(stage, steps, times), axis, known)
    return [
        _entry(mark.kind, mark.step, x, mark.t, mark.attempt, mark.text, mark.value, mark.seq, mark.offset)
        for mark, x in zip(marks, places.tolist(), strict=True)
    ]


def _places_of_time(stage: StageEvents, times: Any, marks: list[Mark], axis: str) -> Any:
    paused = dict(zip((attempt.number for attempt in stage.attempts), pauses(stage).tolist(), strict=True))
    before = np.array([paused.get(mark.attempt, 0.0) if axis == "active" else 0.0 for mark in marks])
    return np.round(times - began(stage) - before, 3)


def _with_steps(stage: StageEvents, steps: Any, times: Any) -> Any:
    """An event without a step lies at the last step that was told before it."""
    order = np.argsort(stage.steps["t"], kind="stable")
    told = stage.steps["t"][order]
    if not len(told):
        return steps
    before = np.searchsorted(told, times, side="right") - 1
    guessed = np.where(before >= 0, stage.steps["step"][order][np.maximum(before, 0)], 0.0)
    return np.where(np.isfinite(steps), steps, np.where(np.isfinite(times), guessed, np.nan))


def _validations(stage: StageEvents, axis: str, known: Known) -> list[dict[str, Any]]:
    places = build_axis(stage, "eval", axis, known).tolist()
    columns = [stage.evals[name].tolist() for name in ("step", "t", "attempt", "bpb", "offset")]
    return [
        _entry("eval", step, x, t, stage.attempts[int(place)].number, "", value, None, int(offset))
        for x, step, t, place, value, offset in zip(places, *columns, strict=True)
    ]


def _spikes(stage: StageEvents, axis: str, known: Known) -> list[dict[str, Any]]:
    places = build_axis(stage, "step", axis, known)
    found = []
    for row in find_spikes(stage).tolist():
        names = ("step", "t", "attempt", "loss", "offset")
        step, t, place, loss, offset = (float(stage.steps[name][row]) for name in names)
        number = stage.attempts[int(place)].number
        found.append(_entry("spike", step, float(places[row]), t, number, "", loss, None, int(offset)))
    return found


def find_spikes(stage: StageEvents) -> Any:
    """Rows of the step events whose loss stands far above what came before.

    Far is against the smoothed distance of points from the smoothed loss before them, so noise alone is no spike.
    """
    rows = np.flatnonzero(np.isfinite(stage.steps["loss"]))
    steps, loss = stage.steps["step"][rows], stage.steps["loss"][rows]
    starts = np.flatnonzero(np.diff(stage.steps["attempt"][rows], prepend=-1)).tolist()
    if len(loss) <= KNOWN_BEFORE_JUDGING:
        return rows[:0]
    above = loss[1:] - smooth_line(steps, loss, starts, SPIKE_WEIGHT)[:-1]
    usual = smooth_line(steps[1:], np.abs(above), [0], SPIKE_WEIGHT)[:-1]
    far = above[1:] > SPIKE_DEVIATIONS * np.maximum(usual, 1e-12)
    far[: KNOWN_BEFORE_JUDGING - 2] = False
    return rows[2:][far]


def _entry(
    kind: str,
    step: float,
    x: float,
    t: float,
    attempt: int,
    text: str,
    value: float,
    seq: int | None,
    offset: int,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "step": round(step) if math.isfinite(step) else None,
        "x": _finite(x),
        "t": _finite(t),
        "attempt": attempt,
        "text": text,
        "value": _finite(value),
        "seq": seq,
        "offset": offset,
    }


def _finite(value: float) -> float | None:
    return float(f"{value:.14g}") if math.isfinite(value) else None
