"""Two runs on the same rows: what both pass, what one passes alone, and the difference of their rates.

Every interval is at 95 %. Nothing here says which run is better; `evals.statistics.mcnemar_exact` and `holm` say how
surprising the rows are if neither is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from picochat.evals.statistics import Interval, cluster_difference, wilson


@dataclass(frozen=True)
class Paired:
    """Rows by who passed them."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Rate of the second run less the rate of the first. ZeroDivisionError without rows."""
        return (self.only_second - self.only_first) / self.n


def pair_rows(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """The four counts over the same rows in the same order. ValueError when the lengths differ."""
    pairs = list(zip(first, second, strict=True))
    return Paired(
        both=sum(a and b for a, b in pairs),
        only_first=sum(a and not b for a, b in pairs),
        only_second=sum(b and not a for a, b in pairs),
        neither=sum(not a and not b for a, b in pairs),
    )


def difference_interval(found: Paired) -> Interval:
    """Interval of the difference of two rates over the same rows (Newcombe 1998, method 10: score intervals of both,
    joined by their correlation). (-1, 1) without rows.
    """
    n = found.n
    if n == 0:
        return -1.0, 1.0
    k1, k2 = found.both + found.only_first, found.both + found.only_second
    (low1, high1), (low2, high2) = wilson(k1, n), wilson(k2, n)
    rate1, rate2, phi = k1 / n, k2 / n, _correlation(found)
    below = _join(rate2 - low2, high1 - rate1, phi)
    above = _join(high2 - rate2, rate1 - low1, phi)
    return max(-1.0, found.difference - below), min(1.0, found.difference + above)


def mean_interval(differences: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the mean of differences over separate rows, from their own intervals (MOVER: Zou and Donner 2008,
    Statistics in Medicine 27). ZeroDivisionError without any.
    """
    k, mean = len(differences), sum(differences) / len(differences)
    pairs = list(zip(differences, intervals, strict=True))
    below = math.sqrt(sum((value - low) ** 2 for value, (low, _) in pairs)) / k
    above = math.sqrt(sum((high - value) ** 2 for value, (_, high) in pairs)) / k
    return max(-1.0, mean - below), min(1.0, mean + above)


def template_interval(first: Sequence[bool], second: Sequence[bool], templates: Sequence[Hashable]) -> Interval | None:
    """Interval of the difference when rows come in clusters: whole templates are drawn. None under two templates."""
    steps = [int(b) - int(a) for a, b in zip(first, second, strict=True)]
    return cluster_difference(steps, templates)


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (n - 1), least and greatest of the same rate over several runs; two or more."""
    return {
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values),
        "min": min(values),
        "max": max(values),
    }


def _correlation(found: Paired) -> float:
    """Phi of the two verdicts, pulled towards 0 by half a row as Newcombe does; 0 where one run never varies."""
    a, b, c, d = found.both, found.only_first, found.only_second, found.neither
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    product = a * d - b * c
    corrected = max(product - found.n / 2, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)


def _join(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first * first - 2 * phi * first * second + second * second))
