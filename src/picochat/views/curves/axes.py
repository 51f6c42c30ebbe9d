"""What may lie along x: step, tokens seen, FLOPs, wall time, active time, epoch. One point has one place on each.

Wall time begins with the stage's first event. Active time leaves out the pauses between attempts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from picochat.views.curves.columns import Columns, Floats
from picochat.views.curves.stage import StageEvents


class AxisName(NamedTuple):
    """The name of an axis and its unit."""

    label: str
    unit: str


AXES = {
    "step": AxisName("step", "steps"),
    "tokens": AxisName("tokens seen", "tokens"),
    "flops": AxisName("model FLOPs", "FLOP"),
    "wall": AxisName("wall time", "s"),
    "active": AxisName("active time", "s"),
    "epoch": AxisName("epoch", "epochs"),
}


class Known(NamedTuple):
    """What a stage's events do not say, None where nothing says it."""

    bytes_per_token: float | None = None
    """The tokenizer's mean; makes bits a byte of a loss in nats a target."""
    epoch_tokens: float | None = None
    """Tokens of one pass over the data."""
    peak_flops_per_s: float | None = None
    """Of all cards together, dense bf16."""


def build_axis(stage: StageEvents, kind: str, axis: str, known: Known) -> Floats:
    """The place of each step or eval event on an axis; NaN where it is unknown."""
    columns = stage.columns(kind)
    if axis == "step":
        return columns["step"]
    if axis in ("wall", "active"):
        paused = pauses(stage)[columns["attempt"].astype(np.int64)] if axis == "active" else 0.0
        return np.round(columns["t"] - began(stage) - paused, 3)
    return tokens_of(stage, columns) * tokens_scale(stage, axis, known)


def available_axes(stage: StageEvents, known: Known) -> list[str]:
    """Axes on which at least one point of the stage has a place."""
    found = []
    for axis in AXES:
        places = [build_axis(stage, kind, axis, known) for kind in ("step", "eval")]
        if any(np.isfinite(place).any() for place in places):
            found.append(axis)
    return found


def began(stage: StageEvents) -> float:
    """Seconds since 1970 of the stage's first event."""
    times = [attempt.began for attempt in stage.attempts if not math.isnan(attempt.began)]
    return min(times, default=math.nan)


def pauses(stage: StageEvents) -> Floats:
    """For each attempt the seconds before it in which no attempt was at work."""
    found, paused, ended = [], 0.0, math.nan
    for attempt in stage.attempts:
        if attempt.began > ended:
            paused += attempt.began - ended
        if not math.isnan(attempt.ended):
            ended = attempt.ended if math.isnan(ended) else max(ended, attempt.ended)
        found.append(paused)
    return np.array(found)


def tokens_of(stage: StageEvents, columns: Columns) -> Floats:
    """Tokens seen at each point. Validations do not say theirs: it follows from the steps of their attempt."""
    return columns["tokens"] if columns is stage.steps else tokens_at(stage, columns["step"])


def tokens_at(stage: StageEvents, steps: Floats) -> Floats:
    """Tokens seen at any steps, between the steps that were told."""
    known = stage.steps["tokens"]
    usable = np.isfinite(known)
    told, order = np.unique(stage.steps["step"][usable], return_index=True)
    if not len(told):
        return np.full(len(steps), np.nan)
    per_step = known[usable][order][-1] / told[-1] if told[-1] > 0 else math.nan
    inside = np.interp(steps, told, known[usable][order])
    return np.where((steps >= told[0]) & (steps <= told[-1]), inside, steps * per_step)


def flops_per_token(stage: StageEvents) -> float:
    """Model FLOPs a token: what the events' two speeds say of each other."""
    tokens, flops = stage.steps["tokens_per_s"][:1000], stage.steps["flops_per_s"][:1000]
    usable = (tokens > 0) & (flops > 0)
    return float(np.median(flops[usable] / tokens[usable])) if usable.any() else math.nan


def place_steps(stage: StageEvents, steps: Floats, axis: str, known: Known) -> Floats:
    """Where steps lie on an axis that counts work: step, tokens, FLOPs, epoch. NaN on an axis of time."""
    if axis == "step":
        return steps
    if axis in ("wall", "active"):
        return np.full(len(steps), np.nan)
    return tokens_at(stage, steps) * tokens_scale(stage, axis, known)


def tokens_scale(stage: StageEvents, axis: str, known: Known) -> float:
    """Length on the axis of one token; NaN where that is unknown."""
    if axis == "tokens":
        return 1.0
    if axis == "flops":
        return flops_per_token(stage)
    return 1 / known.epoch_tokens if known.epoch_tokens else math.nan
