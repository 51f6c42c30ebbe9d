"""How far another program is from ours along the paths, in numbers.

Suffixes: N tokens of a continuation, K likeliest tokens, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

TOP = 10


class Top(NamedTuple):
    """The likeliest ids of each step, the likeliest first, with their natural log-probabilities: both (N, K)."""

    ids_NK: Tensor
    logprobs_NK: Tensor


class Difference(NamedTuple):
    """`largest` is in logits or in log-probabilities of the ten likeliest tokens; NaN where something is not finite.

    `astray` counts the tokens at which the other program's likeliest is not ours, although ours is ahead of it by more
    than the bound.
    """

    largest: float
    equal_tokens: int
    astray: int
    tokens: int

    def within(self, bound: float) -> bool:
        """Whether the two agree. NaN never does."""
        return self.largest <= bound and self.astray == 0


def compare_logits(ours: Sequence[Tensor], theirs: Sequence[Tensor], bound: float) -> Difference:
    """Of whole rows of logits, each an (N, V) for one path."""
    gaps = [(mine.double() - other.double()).abs().max().item() for mine, other in zip(ours, theirs, strict=True)]
    return _difference(gaps, ours, [other.argmax(1) for other in theirs], bound)


def compare_tops(ours: Sequence[Tensor], theirs: Sequence[Top], bound: float) -> Difference:
    """Of the log-probabilities of their ten likeliest tokens, ours taken from the logits (N, V) of a path."""
    gaps = []
    for mine_NV, top in zip(ours, theirs, strict=True):
        mine_NK = mine_NV.double().log_softmax(1).gather(1, top.ids_NK)
        gaps.append((mine_NK - top.logprobs_NK.double()).abs().max().item())
    return _difference(gaps, ours, [top.ids_NK[:, 0] for top in theirs], bound)


def _difference(gaps: list[float], ours: Sequence[Tensor], greedy: Sequence[Tensor], bound: float) -> Difference:
    """`max` would pass over a NaN."""
    largest = max(gaps) if all(gap == gap for gap in gaps) else float("nan")
    equal = astray = tokens = 0
    for mine_NV, chosen_N in zip(ours, greedy, strict=True):
        best_N, likeliest_N = mine_NV.max(1)
        behind_N = best_N - mine_NV.gather(1, chosen_N.unsqueeze(1)).squeeze(1)
        equal += int((chosen_N == likeliest_N).sum())
        astray += int(((chosen_N != likeliest_N) & ~(behind_N <= bound)).sum())
        tokens += len(likeliest_N)
    return Difference(largest, equal, astray, tokens)
