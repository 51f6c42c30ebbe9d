"""The texts of all items as words: one field for a question, and one for each of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.words import Places, word_edges, words_of

Column = Literal["question", "answer", "both"]
COLUMNS: tuple[Column, ...] = ("question", "answer", "both")


@dataclass(frozen=True)
class Words:
    """Many word sequences, one after the other: their folded text, and where each word and each sequence begins."""

    text: bytes
    """All words, one space between them."""
    starts: Places
    """First byte of every word, and one more as if another word followed."""
    first: Places
    """Number of the first word of every sequence, and one more."""

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def lengths(self) -> Places:
        """Words of every sequence."""
        return np.diff(self.first)

    def words(self, number: int, begin: int = 0, end: int | None = None) -> list[bytes]:
        """The words of a sequence, or a part of them."""
        low = int(self.first[number]) + begin
        high = int(self.first[number + 1] if end is None else self.first[number] + end)
        return self.text[self.starts[low] : self.starts[high] - 1].split() if high > low else []


def join_words(sequences: Sequence[list[bytes]]) -> Words:
    """Puts word sequences one after the other."""
    text = b" ".join(word for words in sequences for word in words)
    starts, _ = word_edges(np.frombuffer(text, np.uint8))
    first = np.concatenate(([0], np.cumsum([len(words) for words in sequences], dtype=np.int64)))
    return Words(text, np.append(starts, len(text) + 1), first)


@dataclass(frozen=True)
class Fields:
    """The fields of all items of all sets, in order; an item's question comes before its answers."""

    words: Words
    item: NDArray[np.int64]
    """Number of the item of each field, counted over all sets."""
    is_answer: NDArray[np.bool_]
    item_first: Places
    """Number of the first field of every item, and one more."""
    set_first: Places
    """Number of the first item of every set, and one more."""
    distinct: NDArray[np.bool_]
    """By item: False when an earlier item of its set has the same words."""

    def answers(self, item: int) -> range:
        """The numbers of the answers' fields of an item."""
        return range(int(self.item_first[item]) + 1, int(self.item_first[item + 1]))


def build_fields(sets: Sequence[ItemSet]) -> Fields:
    """The fields of all sets."""
    sequences: list[list[bytes]] = []
    items: list[int] = []
    item_first, distinct, set_first = [0], [], [0]
    for item_set in sets:
        seen: set[tuple[bytes, ...]] = set()
        for item in item_set.items:
            texts = _item_words(item)
            key = tuple(b" ".join(words) for words in texts)
            distinct.append(key not in seen)
            seen.add(key)
            sequences += texts
            items += [len(item_first) - 1] * len(texts)
            item_first.append(len(sequences))
        set_first.append(len(item_first) - 1)
    first_fields = np.zeros(len(sequences), np.bool_)
    first_fields[item_first[:-1]] = True
    return Fields(
        join_words(sequences),
        np.array(items, np.int64),
        ~first_fields,
        np.array(item_first, np.int64),
        np.array(set_first, np.int64),
        np.array(distinct, np.bool_),
    )


def _item_words(item: Item) -> list[list[bytes]]:
    """The words of the question and of each different answer."""
    answers = {b" ".join(words): words for words in map(words_of, item.answers) if words}
    return [words_of(item.question), *answers.values()]
