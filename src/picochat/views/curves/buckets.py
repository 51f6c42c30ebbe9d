"""Many points as few buckets of neighbours: each keeps its lowest, its highest and its last, so no spike is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.views.curves.columns import Floats, spans

Ints = NDArray[np.int64]


class Buckets(NamedTuple):
    """Places in the points: `first` and `last` of each bucket. `begins` are the buckets at which an attempt begins."""

    first: Ints
    last: Ints
    begins: list[int]

    @property
    def whole(self) -> bool:
        """Whether every bucket is one point."""
        return bool((self.first == self.last).all())

    def low(self, values: Floats) -> Floats:
        return np.minimum.reduceat(values, self.first) if len(self.first) else values[:0]

    def high(self, values: Floats) -> Floats:
        return np.maximum.reduceat(values, self.first) if len(self.first) else values[:0]


def build_buckets(x: Floats, starts: Sequence[int], most: int, *, logarithmic: bool = False) -> Buckets:
    """At most `most` buckets, or two for each attempt where that is more. None crosses the border of an attempt.

    Each holds equally many points, so it holds the same ones whatever lies along x; on a logarithmic axis equally wide
    ones, because nearly all points lie at its end. x rises within an attempt.
    """
    count = len(x)
    if count <= most:
        first = np.arange(count)
    elif logarithmic:
        first = _by_width(x, starts, most)
    else:
        first = _by_count(count, starts, most)
    last = np.append(first[1:], count) - 1 if count else first
    return Buckets(first, last, np.searchsorted(first, np.array(starts, dtype=np.int64)).tolist())


def _by_count(count: int, starts: Sequence[int], most: int) -> Ints:
    room = max(most - len(starts) + 1, len(starts))
    parts = []
    for begin, end in spans(starts, count):
        share = min(end - begin, max(1, room * (end - begin) // count))
        parts.append(np.linspace(begin, end, share, endpoint=False).astype(np.int64))
    return np.concatenate(parts)


def _by_width(x: Floats, starts: Sequence[int], most: int) -> Ints:
    places = np.log(x)
    low, high = float(places.min()), float(places.max())
    borders = np.zeros(len(x), dtype=bool)
    borders[list(starts)] = True
    wide = most
    while True:
        number = np.floor((places - low) / max(high - low, 1e-12) * wide)
        found = np.flatnonzero(borders | (np.diff(number, prepend=-1) != 0))
        if len(found) <= most or wide <= 1:
            return found
        wide = min(wide - 1, wide * most // len(found))
