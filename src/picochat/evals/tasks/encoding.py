"""From an item to token ids: context and continuation are encoded together, and what is too long is cut in the open.

Examples go first, from the left; then the context loses tokens on its left. BOS always stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from picochat.evals.tasks.items import TaskItem

Pair = tuple[list[int], list[int]]
"""Ids of a prompt with its BOS, and of the scored continuation."""


class Encoder(Protocol):
    """A tokenizer and the length of the context that it encodes for."""

    @property
    def bos(self) -> int: ...

    @property
    def context_tokens(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class Encoded:
    """One pair an option; none when a continuation alone does not fit. `dropped` examples, `cut` tokens of context."""

    pairs: tuple[Pair, ...]
    dropped: int = 0
    cut: int = 0


def encode_item(item: TaskItem, encoder: Encoder, reserve: int = 0) -> Encoded:
    """The pairs of an item. `reserve` tokens stay free for a reply that is to be generated."""
    room = max(1, encoder.context_tokens - reserve)
    dropped = _count_dropped(item, encoder, room)
    pairs = _encode(item, encoder, dropped)
    keep = room - max(len(continuation) for _, continuation in pairs)
    if keep < 0:
        return Encoded((), dropped)
    cut = max(0, max(len(prompt) for prompt, _ in pairs) - keep)
    kept = [(prompt[max(0, len(prompt) - keep) :], continuation) for prompt, continuation in pairs]
    return Encoded(tuple(([encoder.bos, *prompt], continuation) for prompt, continuation in kept), dropped, cut)


def _count_dropped(item: TaskItem, encoder: Encoder, room: int) -> int:
    """The fewest examples to leave out for all options to fit, all of them where that is not enough."""
    low, high = 0, len(item.examples)
    while low < high:
        middle = (low + high) // 2
        before = item.head + "".join(item.examples[middle:])
        if max(len(encoder.encode(before + o.context + o.continuation)) for o in item.options) <= room:
            high = middle
        else:
            low = middle + 1
    return low


def _encode(item: TaskItem, encoder: Encoder, dropped: int) -> list[Pair]:
    before = item.head + "".join(item.examples[dropped:])
    wholes = [encoder.encode(before + option.context + option.continuation) for option in item.options]
    match item.span:
        case "options":
            begins = [min(_common_prefix(wholes), min(map(len, wholes)) - 1)] * len(wholes)
        case "suffix":
            shared = max(1, _common_prefix([whole[::-1] for whole in wholes]))
            begins = [len(whole) - shared for whole in wholes]
        case _:
            contexts = [encoder.encode(before + option.context) for option in item.options]
            begins = [_common_prefix(pair) for pair in zip(contexts, wholes, strict=True)]
    return [(whole[:begin], whole[begin:]) for whole, begin in zip(wholes, begins, strict=True)]


def _common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Ids that all sequences begin with."""
    shortest = min(map(len, sequences))
    first = sequences[0]
    return next((i for i in range(shortest) if any(other[i] != first[i] for other in sequences)), shortest)
