"""Rates with their uncertainty, the three answers of a threshold, and comparisons of two runs.

Every interval is at 95 %. Random resampling is seeded, so the same rows give the same interval.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import numpy as np

Z95 = 1.96
RESAMPLES = 10_000
_CHUNK_CELLS = 2_000_000

Answer = Literal["pass", "warn", "block", "not_run"]
Interval = tuple[float, float]


def wilson(k: int, n: int, z: float = Z95) -> Interval:
    """Score interval (Wilson 1927) of k passes in n trials, (0, 1) when n is 0. ValueError unless 0 <= k <= n."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} passes in {n} trials")
    if n == 0:
        return 0.0, 1.0
    rate, square = k / n, z * z
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return (max(0.0, centre - half) if k > 0 else 0.0, min(1.0, centre + half) if k < n else 1.0)


def newcombe(k1: int, n1: int, k2: int, n2: int, z: float = Z95) -> Interval:
    """Interval of the difference k1/n1 - k2/n2 from the Wilson intervals of both rates (Newcombe 1998, method 10).

    ValueError unless both have trials.
    """
    if n1 == 0 or n2 == 0:
        raise ValueError("a difference of rates needs trials on both sides")
    (low1, high1), (low2, high2) = wilson(k1, n1, z), wilson(k2, n2, z)
    p1, p2 = k1 / n1, k2 / n2
    below = math.sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    above = math.sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return p1 - p2 - below, p1 - p2 + above


def judge_rate(k: int, n: int, threshold: float, direction: Literal[">=", "<="], minimum_n: int) -> Answer:
    """The three answers of a threshold: pass when its bound reaches it, warn when only the point does, or block.

    The bound is the lower one for rates that should be high (`>=`) and the upper one for rates that should be low.
    Under `minimum_n` trials the answer is `not_run`.
    """
    if n < max(minimum_n, 1):
        return "not_run"
    low, high = wilson(k, n)
    point = k / n
    if direction == ">=":
        return "pass" if low >= threshold else "warn" if point >= threshold else "block"
    return "pass" if high <= threshold else "warn" if point <= threshold else "block"


def passes_needed(n: int, threshold: float, direction: Literal[">=", "<="]) -> int | None:
    """Passes of n trials from which on `judge_rate` says pass: the fewest for `>=`, the most for `<=`.

    None where no number of passes is enough, since n is too small for the interval to clear the threshold.
    """
    if direction == ">=":
        k = bisect.bisect_left(range(n + 1), True, key=lambda k: wilson(k, n)[0] >= threshold)
        return k if n > 0 and k <= n else None
    k = bisect.bisect_left(range(n + 1), True, key=lambda k: wilson(k, n)[1] > threshold)
    return k - 1 if n > 0 and k > 0 else None


def chance_adjusted(accuracy: float, chance: float) -> float:
    """(accuracy - chance) / (1 - chance): 0 at chance, 1 when all is right. ValueError unless 0 <= chance < 1."""
    if not 0 <= chance < 1:
        raise ValueError(f"chance must lie in [0, 1), not {chance}")
    return (accuracy - chance) / (1 - chance)


def chance_adjusted_interval(interval: Sequence[float], chance: float) -> Interval:
    """Both ends of an accuracy interval on the chance-adjusted scale."""
    low, high = interval
    return chance_adjusted(low, chance), chance_adjusted(high, chance)


def count_discordant(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int]:
    """(passes of the first run alone, passes of the second alone) over the same rows in the same order."""
    pairs = list(zip(first, second, strict=True))
    return sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test on the discordant rows; 1 when there are none."""
    n = only_first + only_second
    tail = sum(math.comb(n, i) for i in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values of a family of tests (Holm 1979), in the order given."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def cluster_interval(
    passed: Sequence[bool], clusters: Sequence[Hashable], seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Interval of a rate when rows come in clusters (templates): whole clusters are drawn with replacement.

    None under two clusters. Where all clusters have one and the same rate the resamples have no width, and the Wilson
    interval over the number of clusters stands in.
    """
    sums: dict[Hashable, list[int]] = {}
    for ok, cluster in zip(passed, clusters, strict=True):
        entry = sums.setdefault(cluster, [0, 0])
        entry[0] += bool(ok)
        entry[1] += 1
    if len(sums) < 2:
        return None
    passes, sizes = np.array(list(sums.values()), dtype=np.float64).T
    if np.all(passes == 0) or np.all(passes == sizes):
        return wilson(len(sums) if passes[0] else 0, len(sums))
    return _percentiles(_resampled_rates(passes, sizes, _random(seed), resamples))


def cluster_difference(
    steps: Sequence[int], clusters: Sequence[Hashable], seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Interval of the mean of `steps` (-1, 0 or 1 a row) when rows come in clusters, as `cluster_interval`.

    None under two clusters, and where all clusters have one and the same mean, since the resamples have no width then.
    """
    sums: dict[Hashable, list[int]] = {}
    for step, cluster in zip(steps, clusters, strict=True):
        entry = sums.setdefault(cluster, [0, 0])
        entry[0] += step
        entry[1] += 1
    totals, sizes = np.array(list(sums.values()), dtype=np.float64).reshape(-1, 2).T
    if len(sums) < 2 or np.ptp(totals / sizes) == 0:
        return None
    return _percentiles(_resampled_rates(totals, sizes, _random(seed), resamples))


def _resampled_rates(
    passes: np.ndarray, sizes: np.ndarray, random: np.random.RandomState, resamples: int
) -> np.ndarray:
    count, rates = len(sizes), []
    step = max(1, _CHUNK_CELLS // count)
    for start in range(0, resamples, step):
        drawn = random.multinomial(count, np.full(count, 1 / count), size=min(step, resamples - start))
        rates.append(drawn @ passes / (drawn @ sizes))
    return np.concatenate(rates)


def aggregate_interval(counts: Sequence[tuple[int, int]], seed: int = 0, resamples: int = RESAMPLES) -> Interval | None:
    """Interval of the mean of several rates given as (k, n): bootstrap within each task.

    Drawing n rows of a task with replacement makes its passes binomial(n, k/n), so the rows themselves are not needed.
    Where every task is all right or all wrong nothing varies, and the pooled Wilson interval stands in. None without
    tasks.
    """
    if not counts:
        return None
    if all(k in (0, n) for k, n in counts):
        return wilson(sum(k for k, _ in counts), sum(n for _, n in counts))
    random = _random(seed)
    rates = [random.binomial(n, k / n, size=resamples) / n for k, n in counts]
    return _percentiles(np.mean(rates, axis=0))


def _percentiles(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _random(seed: int) -> np.random.RandomState:
    # The legacy generator, because its stream is frozen: another numpy must reproduce a stored interval.
    return np.random.RandomState(seed)


def centred_interval(
    counts: Sequence[tuple[int, int]], baselines: Sequence[float], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Interval of the mean of rates moved by their baselines, (rate - b) / (1 - b): bootstrap within each task.

    Where every task is all right or all wrong nothing varies, and the mean of the moved Wilson bounds stands in.
    ValueError without tasks.
    """
    if not counts:
        raise ValueError("the mean of no tasks")
    moved = list(zip(counts, baselines, strict=True))
    if all(k in (0, n) for k, n in counts):
        bounds = np.array([[(bound - b) / (1 - b) for bound in wilson(k, n)] for (k, n), b in moved])
        low, high = bounds.mean(axis=0)
        return float(low), float(high)
    random = _random(seed)
    drawn = [(random.binomial(n, k / n, size=resamples) / n - b) / (1 - b) for (k, n), b in moved]
    return _percentiles(np.mean(drawn, axis=0))
