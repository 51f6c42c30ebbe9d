"""How one choice picks its next token: bias, penalties, temperature, top_k, top_p, min_p, draw, in this order.

One row of scores at a time, in float64 on the CPU: a choice's numbers then depend on nothing but its own scores, its
own tokens and its own seed. Suffixes: V vocab, C candidates that are left.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picochat.inference.engine.request import Sampling

GREEDY_BELOW = 1e-5
FIRST_CANDIDATES = 512

Row = NDArray[np.float64]


class Sampler:
    """The picks of one choice. `plain_greedy` says that each of them is the likeliest token, whatever came before."""

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int]) -> None:
        self._sampling = sampling
        self._rng = random.Random(str(sampling.seed))
        self._generated: Counter[int] = Counter()
        self._seen = set(prompt_ids) if sampling.repetition_penalty != 1 else set()
        self._counts = sampling.presence_penalty != 0 or sampling.frequency_penalty != 0
        greedy = sampling.temperature < GREEDY_BELOW
        self.plain_greedy = greedy and not sampling.logit_bias and sampling.repetition_penalty == 1 and not self._counts

    def pick(self, logits_V: NDArray[np.float32]) -> int:
        """The next id after these scores; it is counted for the penalties. Draws once, unless it is the likeliest.

        Raises FloatingPointError for scores that hold no finite maximum.
        """
        scores_V = self._adjust(logits_V.astype(np.float64))
        require_finite(float(scores_V.max()))
        if self._sampling.temperature < GREEDY_BELOW:
            token = int(scores_V.argmax())
        else:
            token = draw(scores_V / self._sampling.temperature, self._sampling, self._rng.random())
        self._count(token)
        return token

    def _count(self, token: int) -> None:
        if self._counts:
            self._generated[token] += 1
        if self._sampling.repetition_penalty != 1:
            self._seen.add(token)

    def _adjust(self, scores_V: Row) -> Row:
        """Bias, then penalties, in place."""
        sampling = self._sampling
        for token, bias in sampling.logit_bias.items():
            scores_V[token] += bias
        if self._seen:
            ids = np.fromiter(self._seen, np.int64)
            values = scores_V[ids]
            penalty = sampling.repetition_penalty
            scores_V[ids] = np.where(values > 0, values / penalty, values * penalty)
        if self._generated:
            ids = np.fromiter(self._generated.keys(), np.int64)
            counts = np.fromiter(self._generated.values(), np.float64)
            scores_V[ids] -= sampling.presence_penalty + sampling.frequency_penalty * counts
        return scores_V


def require_finite(largest: float) -> None:
    """Raises FloatingPointError when the largest score of a row says that the row means nothing."""
    if not math.isfinite(largest):
        raise FloatingPointError(f"the largest score of a row is {largest}")


def draw(scores_V: Row, sampling: Sampling, number: float) -> int:
    """The id that `number`, in [0, 1), falls on among the candidates, which lie in the order of their ids.

    In that order a rounding of the scores moves the bounds between candidates a little, where an order by probability
    could exchange two of them.
    """
    probs_V = np.exp(scores_V - scores_V.max())
    kept_C = keep_likeliest(probs_V, sampling)
    if kept_C is None:
        bounds = np.cumsum(probs_V)
        return int(_fall(bounds, number))
    kept_C = np.sort(kept_C)
    return int(kept_C[_fall(np.cumsum(probs_V[kept_C]), number)])


def _fall(bounds: Row, number: float) -> int:
    place = int(np.searchsorted(bounds, number * bounds[-1], side="right"))
    # Rounding may carry a number of nearly 1 past the last candidate that is possible: take that one.
    return min(place, int(np.searchsorted(bounds, bounds[-1], side="left")))


def keep_likeliest(probs_V: Row, sampling: Sampling) -> NDArray[np.int64] | None:
    """Ids left by top_k, top_p and min_p, or None where all are; `probs_V` need not sum to 1.

    top_k keeps the k likeliest. top_p then keeps the fewest likeliest that together reach that share of what is left
    (Holtzman et al. 2020, arXiv:1904.09751, section 3.1). min_p drops what is less likely than that share of the
    likeliest (Nguyen et al. 2024, arXiv:2407.01082, section 3).
    """
    size = len(probs_V)
    top_k = sampling.top_k if 0 < sampling.top_k < size else 0
    kept_C = None
    if top_k or sampling.top_p < 1:
        kept_C = _likeliest(probs_V, top_k or min(FIRST_CANDIDATES, size))
        total = probs_V[kept_C].sum() if top_k else probs_V.sum()
        # Most of the mass lies in a few candidates: only where it does not is the whole vocabulary sorted.
        if not top_k and probs_V[kept_C].sum() < sampling.top_p * total:
            kept_C = _likeliest(probs_V, size)
        if sampling.top_p < 1:
            before_C = np.cumsum(probs_V[kept_C]) - probs_V[kept_C]
            kept_C = kept_C[: max(1, int((before_C < sampling.top_p * total).sum()))]
    if sampling.min_p > 0:
        kept_C = np.arange(size) if kept_C is None else kept_C
        kept_C = kept_C[probs_V[kept_C] >= sampling.min_p * probs_V.max()]
    return kept_C


def _likeliest(probs_V: Row, count: int) -> NDArray[np.int64]:
    """The `count` likeliest ids, best first; of equally likely ones the lower id comes first."""
    if count < len(probs_V):
        ids = np.argpartition(-probs_V, count - 1)[:count]
    else:
        ids = np.arange(len(probs_V))
    return ids[np.lexsort((ids, -probs_V[ids]))]
