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


def encode_item(item: TaskItem, encoder: Encoder, reserve: int = 0, sizes: dict[str, int] | None = None) -> Encoded:
    """The pairs of an item. `reserve` tokens stay free for a reply that is to be generated.

    `sizes` keeps the tokens of examples from one item to the next, which share them; it changes no result.
    """
    room = max(1, encoder.context_tokens - reserve)
    texts = _Texts(item, encoder)
    dropped = _count_dropped(texts, room, {} if sizes is None else sizes)
    pairs = _split(item, texts, dropped)
    keep = room - max(len(continuation) for _, continuation in pairs)
    if keep < 0:
        return Encoded((), dropped)
    cut = max(0, max(len(prompt) for prompt, _ in pairs) - keep)
    kept = [(prompt[max(0, len(prompt) - keep) :], continuation) for prompt, continuation in pairs]
    return Encoded(tuple(([encoder.bos, *prompt], continuation) for prompt, continuation in kept), dropped, cut)


class _Texts:
    """The texts of an item, each encoded once."""

    def __init__(self, item: TaskItem, encoder: Encoder) -> None:
        self.item, self._encoder = item, encoder
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self._encoder.encode(text)
        return self._known[text]

    def before(self, dropped: int) -> str:
        return self.item.head + "".join(self.item.examples[dropped:])

    def wholes(self, dropped: int) -> list[list[int]]:
        before = self.before(dropped)
        return [self.encode(before + option.context + option.continuation) for option in self.item.options]

    def contexts(self, dropped: int) -> list[list[int]]:
        before = self.before(dropped)
        return [self.encode(before + option.context) for option in self.item.options]


def _count_dropped(texts: _Texts, room: int, sizes: dict[str, int]) -> int:
    """The fewest examples to leave out for all options to fit, all of them where that is not enough.

    Sums of sizes say where to look, since ids seldom cross the edge of a text; the whole text decides.
    """
    examples = texts.item.examples
    if not examples:
        return 0
    for example in examples:
        if example not in sizes:
            sizes[example] = len(texts.encode(example))
    own = max(map(len, texts.wholes(len(examples))))
    dropped, size = 0, own + sum(sizes[example] for example in examples)
    while dropped < len(examples) and size > room:
        size -= sizes[examples[dropped]]
        dropped += 1
    while dropped < len(examples) and not _fits(texts, dropped, room):
        dropped += 1
    while dropped > 0 and _fits(texts, dropped - 1, room):
        dropped -= 1
    return dropped


def _fits(texts: _Texts, dropped: int, room: int) -> bool:
    return all(len(whole) <= room for whole in texts.wholes(dropped))


def _split(item: TaskItem, texts: _Texts, dropped: int) -> list[Pair]:
    """The ids of each option, parted where its scored tokens begin."""
    wholes = texts.wholes(dropped)
    match item.span:
        case "options":
            begins = [min(_common_prefix(wholes), min(map(len, wholes)) - 1)] * len(wholes)
        case "suffix":
            shared = max(1, _common_prefix([whole[::-1] for whole in wholes]))
            begins = [len(whole) - shared for whole in wholes]
        case _:
            begins = [_common_prefix(pair) for pair in zip(texts.contexts(dropped), wholes, strict=True)]
    return [(whole[:begin], whole[begin:]) for whole, begin in zip(wholes, begins, strict=True)]


def _common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Ids that all sequences begin with: halving, because slices are compared faster than ids one by one."""
    first = sequences[0]
    low, high = 0, min(map(len, sequences))
    while low < high:
        middle = (low + high + 1) // 2
        if all(other[low:middle] == first[low:middle] for other in sequences):
            low = middle
        else:
            high = middle - 1
    return low
