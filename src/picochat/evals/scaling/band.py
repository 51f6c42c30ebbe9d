"""How far a prediction may be off: what a law misses when a whole size is left out, and what another seed changes.

A bootstrap of the points alone is too narrow: it knows nothing of a size that the ladder has not. Leaving each size out
does, at the distance of one rung; a target that lies farther gets a wider band. All residuals are of the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from picochat.evals.scaling.law import Point, fit_law

T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t, two-sided 95 %, for 1, 2, 3, ... degrees of freedom; beyond the table the last one, which is wider."""
GROWTH_A_STEP = 0.5
"""By how much the band widens for each rung's distance beyond the ladder. Chosen on made ladders: half a band a step
covers at least 95 in 100 of them for targets of 2 to 31 times the largest size (benchmarks/prediction.py)."""


class LeftOut(NamedTuple):
    """A size that a law was fitted without, and the residuals of its points under that law."""

    parameters: float
    residuals: list[float]


class Band(NamedTuple):
    """The parts of the half-width `half_log` (of the logarithm of the loss)."""

    left_out: list[LeftOut]
    left_out_rms: float
    seed_sd: float
    t: float
    steps_beyond: float
    """Distance of the target from the ladder, in mean distances of its neighbours; 0 inside."""
    growth: float
    half_log: float


def measure_band(points: Sequence[Point], seed_losses: Sequence[float], target: tuple[float, float]) -> Band:
    """The band of a prediction at `target` (parameters, tokens) by the law of these points.

    `seed_losses` are of one training, repeated with other seeds: two or more. The points are of four sizes or more.
    """
    left_out = leave_sizes_out(points)
    rms = math.sqrt(fmean(value * value for size in left_out for value in size.residuals))
    seed_sd = stdev(map(math.log, seed_losses))
    t = T95[min(len(left_out) - 1, len(T95)) - 1]
    beyond = max(steps_beyond([p.parameters for p in points], target[0]), _tokens_beyond(points, target[1]))
    growth = 1 + GROWTH_A_STEP * beyond
    return Band(left_out, rms, seed_sd, t, beyond, growth, t * math.hypot(growth * rms, seed_sd))


def leave_sizes_out(points: Sequence[Point]) -> list[LeftOut]:
    """For each size, smallest first: a law without it, asked about it."""
    found = []
    for size in sorted({point.parameters for point in points}):
        law = fit_law([point for point in points if point.parameters != size])
        mine = [point for point in points if point.parameters == size]
        found.append(LeftOut(size, [math.log(p.loss / law.at(p.parameters, p.tokens)) for p in mine]))
    return found


def steps_beyond(values: Sequence[float], target: float) -> float:
    """How many mean steps of the values (of their logarithms) a target lies above the largest or below the least."""
    known = sorted(set(values))
    step = math.log(known[-1] / known[0]) / (len(known) - 1)
    return max(0.0, math.log(target / known[-1]), math.log(known[0] / target)) / step


def _tokens_beyond(points: Sequence[Point], target: float) -> float:
    """In the mean step between the lengths of one size: those of all sizes together may lie close."""
    sizes = {point.parameters for point in points}
    lengths = [sorted({p.tokens for p in points if p.parameters == size}) for size in sizes]
    step = fmean(math.log(own[-1] / own[0]) / (len(own) - 1) for own in lengths)
    every = [point.tokens for point in points]
    return max(0.0, math.log(target / max(every)), math.log(min(every) / target)) / step
