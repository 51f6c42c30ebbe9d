"""What many items of a set share: wording of the set itself, whose presence in a text says nothing about its items."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.fields import Fields
from picochat.data.contamination.hashing import Hashes
from picochat.data.contamination.words import Places

LISTED = 50
"""Phrases that are listed of a set."""


class Phrase(NamedTuple):
    """A stretch of words that is boilerplate, and the number of different items in which it stands as this stretch."""

    text: str
    items: int


class Boilerplate(NamedTuple):
    """Of one set: different grams, the items that make a gram boilerplate, and the commonest phrases."""

    grams: int
    at_least_items: int
    phrases: list[Phrase]


def common_hashes(hashes: Hashes, items: Places, at_least: int) -> Hashes:
    """The hashes that occur with at least so many different items, sorted."""
    order = np.lexsort((items, hashes))
    hashes, items = hashes[order], items[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (items[1:] != items[:-1])
    different, counts = np.unique(hashes[new], return_counts=True)
    return different[counts >= at_least]


def least_items(n_items: int, config: ContaminationConfig) -> int:
    """Different items in which a gram of a set of n different items is boilerplate."""
    return max(config.boilerplate_items, math.ceil(config.boilerplate_frac * n_items - 1e-9))


def covered_words(starts: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """By word: whether it lies inside a gram of n words that begins where `starts` is True."""
    begun = np.concatenate((np.zeros(n, np.int64), np.cumsum(starts)))
    return begun[n:] > begun[: len(starts)]


def list_phrases(fields: Fields, field_numbers: Places, covered: NDArray[np.bool_]) -> list[Phrase]:
    """The commonest covered stretches of these fields, commonest first, each counted once an item."""
    found: Counter[bytes] = Counter()
    item, mine = -1, set[bytes]()
    for number in field_numbers.tolist():
        if fields.item[number] != item:
            found.update(mine)
            item, mine = int(fields.item[number]), set()
        mine |= _stretches(fields, number, covered)
    found.update(mine)
    ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:LISTED]
    return [Phrase(text.decode(), count) for text, count in ranked]


def _stretches(fields: Fields, number: int, covered: NDArray[np.bool_]) -> set[bytes]:
    begin, end = int(fields.words.first[number]), int(fields.words.first[number + 1])
    if not covered[begin:end].any():
        return set()
    inside = np.concatenate(([False], covered[begin:end], [False]))
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return {b" ".join(fields.words.words(number, low, high)) for low, high in pairs}
