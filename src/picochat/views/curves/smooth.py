"""Smoothing: an exponential moving average weighted by steps, without the bias of its beginning.

    weight of a point = sum over earlier ones of w ** ((s_now - s_then) / spacing), normalised to one

w is how much a point keeps after the usual spacing of the points: 0.9 remembers about ten of them. Dividing by the sum
of weights is the correction of Kingma and Ba (2015, section 3) for any spacing. A constant stays that constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from picochat.views.curves.columns import Floats, spans

LEAST_WEIGHT = 1e-3
"""Below it a point keeps nothing that could be seen."""
BLOCK_BITS = 900.0
"""Powers of two that a block may span: more would leave the range of a double."""


def smooth_line(
    steps: Floats, values: Floats, starts: Sequence[int], weight: float, *, logarithmic: bool = False
) -> Floats:
    """The average at each point. `starts` are the places where an attempt begins.

    An attempt goes on from what was known at the last earlier step before its own first, as the training did; repeated
    steps do not count twice. `logarithmic` averages logarithms, so values must be above 0.
    """
    if not len(values) or weight < LEAST_WEIGHT:
        return values
    line = np.log(values) if logarithmic else values
    centre = line[0]
    bits = -math.log2(min(weight, 1 - 1e-9)) / spacing(steps, starts)
    sums, weights = np.empty(len(line)), np.empty(len(line))
    for begin, end in spans(starts, len(line)):
        before = _last_before(steps, begin, starts)
        known = (sums[before], weights[before], steps[before]) if before is not None else (0.0, 0.0, steps[begin])
        _run(steps[begin:end], line[begin:end] - centre, bits, known, sums[begin:end], weights[begin:end])
    found = centre + sums / weights
    return np.exp(found) if logarithmic else found


def spacing(steps: Floats, starts: Sequence[int]) -> float:
    """The usual distance of two points of an attempt, in steps; 1 where there are no two."""
    gaps = np.diff(steps)
    gaps = np.delete(gaps, [start - 1 for start in starts if start > 0]) if len(starts) > 1 else gaps
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def _last_before(steps: Floats, begin: int, starts: Sequence[int]) -> int | None:
    """The newest earlier point whose step is below the one at `begin`: attempts are looked through from the last."""
    bounds = [start for start in starts if start < begin] + [begin]
    for low, high in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        place = low + int(np.searchsorted(steps[low:high], steps[begin])) - 1
        if place >= low:
            return place
    return None


def _run(
    steps: Floats, line: Floats, bits: float, known: tuple[float, float, float], sums: Floats, weights: Floats
) -> None:
    """Fills sums and weights in blocks, each by one cumulative sum over values that are scaled up instead of down."""
    total, weight, last = known
    decay = np.diff(steps, prepend=last) * bits
    reached = np.cumsum(decay)
    blocks = np.flatnonzero(np.diff(np.floor(reached / BLOCK_BITS), prepend=-1)).tolist()
    for begin, end in spans(blocks, len(line)):
        kept = float(np.exp2(-decay[begin]))
        up = np.exp2(reached[begin:end] - reached[begin])
        sums[begin:end] = (np.cumsum(line[begin:end] * up) + total * kept) / up
        weights[begin:end] = (np.cumsum(up) + weight * kept) / up
        total, weight = float(sums[end - 1]), float(weights[end - 1])
