"""Attempts of a stage: where each begins on the axis, why, and which points a later one repeated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from picochat.views.curves.axes import Known, began, pauses, place_steps
from picochat.views.curves.columns import Floats
from picochat.views.curves.stage import Attempt, StageEvents


class Seam(NamedTuple):
    """Where an attempt begins. `step` is that of the checkpoint it went on from, `x` its place; None is unknown."""

    attempt: int
    step: float | None
    x: float | None
    reason: str
    repeated_steps: int | None
    exact: bool | None


def resumed_step(attempt: Attempt) -> float | None:
    """The step that an attempt went on from, as its `resumed` event says; before that comes, below its first point."""
    said = attempt.resumed.get("step") if attempt.resumed else None
    if type(said) is int and said >= 0:
        return float(said)
    return attempt.first_step - 1 if math.isfinite(attempt.first_step) else None


def build_seams(stage: StageEvents, axis: str, known: Known) -> list[Seam]:
    """One for each attempt after the first that trained or says that it resumed."""
    found = []
    for place, attempt in enumerate(stage.attempts):
        if place == 0 or not (attempt.resumed or math.isfinite(attempt.first_step)):
            continue
        step, resumed = resumed_step(attempt), attempt.resumed or {}
        repeated, exact = resumed.get("repeated_steps"), resumed.get("exact")
        found.append(
            Seam(
                attempt.number,
                step,
                _place(stage, place, step, axis, known),
                describe_seam(stage.attempts[place - 1], attempt, step),
                repeated if type(repeated) is int else None,
                exact if isinstance(exact, bool) else None,
            )
        )
    return found


def describe_seam(before: Attempt, attempt: Attempt, step: float | None) -> str:
    """How the attempt before ended, and what the `resumed` event says of the steps that were repeated."""
    failed = before.failed or {}
    words = [text for key in ("code", "detail") if isinstance(text := failed.get(key), str) and text]
    ended = ": ".join(words)[:200] or "it ended without a word, as when it is killed"
    goes_on = "goes on" if step is None else f"goes on from step {step:,.0f}"
    parts = [f"attempt {before.number}: {ended}", f"attempt {attempt.number} {goes_on}"]
    if attempt.resumed is None:
        return "; ".join(parts)
    repeated, exact = attempt.resumed.get("repeated_steps"), attempt.resumed.get("exact")
    if type(repeated) is int:
        told = "" if not repeated or exact is None else ", equal to the bit" if exact else ", not equal to the bit"
        parts.append(f"{repeated:,} steps repeated{told}")
    return "; ".join(parts)


def _place(stage: StageEvents, place: int, step: float | None, axis: str, known: Known) -> float | None:
    if axis in ("wall", "active"):
        pause = pauses(stage)[place] if axis == "active" else 0.0
        return _known(round(stage.attempts[place].began - began(stage) - pause, 3))
    return None if step is None else _known(float(place_steps(stage, np.array([step]), axis, known)[0]))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def superseded_from(stage: StageEvents, place: int) -> float:
    """The lowest step of an attempt that a later one has repeated; infinity where none is."""
    later = [resumed_step(attempt) for attempt in stage.attempts[place + 1 :] if math.isfinite(attempt.first_step)]
    steps = [step for step in later if step is not None]
    return min(steps) + 1 if steps else math.inf


def is_superseded(stage: StageEvents, steps: Floats, places: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which points were trained again by a later attempt."""
    limits = np.array([superseded_from(stage, place) for place in range(len(stage.attempts))])
    return steps >= limits[places.astype(np.int64)] if len(limits) else np.zeros(len(steps), dtype=bool)
