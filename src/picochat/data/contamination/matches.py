"""A match: a field that stands in a block, by which rule, and over which words. Words are compared here, not hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from picochat.data.contamination.block import Block
from picochat.data.contamination.fields import Column, Words
from picochat.data.contamination.words import Places

Rule = Literal["gram", "small_grams", "whole", "pair"]


@dataclass(frozen=True)
class Match:
    """Words `begin` to `end` of a block are words `field_begin` to `field_end` of a field.

    `n_equal` counts what is equal: words, or different small grams under the rule `small_grams`.
    """

    document: int
    """Where it begins, by its place in the block."""
    last_document: int
    """Where it ends: another one when the text was split over documents."""
    field: int
    column: Column
    rule: Rule
    begin: int
    end: int
    field_begin: int
    field_end: int
    n_equal: int

    @property
    def split(self) -> bool:
        return self.last_document != self.document


def first_of_each(keys: Places, limit: int) -> Places:
    """Indices of the first `limit` occurrences of every key, in order."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    new = np.ones(len(ranked), np.bool_)
    new[1:] = ranked[1:] != ranked[:-1]
    firsts = np.flatnonzero(new)
    rank = np.arange(len(ranked)) - np.repeat(firsts, np.diff(np.append(firsts, len(ranked))))
    return np.sort(order[rank < limit])


def extend(block: Block, words: Words, field: int, begin: int, place: int, n: int) -> tuple[int, int]:
    """(words more to the left, words more to the right) that are equal around n words that are.

    A match grows inside the document in which it begins; one over a joint also to the right, wherever it leads.
    """
    document, last = block.documents_of(np.array([begin, begin + n - 1])).tolist()
    low, high = block.within(document)
    high = high if document == last else block.n_words
    left = min(place, begin - low)
    here, there = block.words(begin - left, begin), words.words(field, place - left, place)
    more_left = _equal(here[::-1], there[::-1])
    length = int(words.lengths[field])
    right = min(length - place - n, high - begin - n)
    here, there = block.words(begin + n, begin + n + right), words.words(field, place + n, place + n + right)
    return more_left, _equal(here, there)


def _equal(first: list[bytes], second: list[bytes]) -> int:
    """Length of the common beginning."""
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return number
    return min(len(first), len(second))


def find_near(block: Block, begin: int, end: int, sought: list[bytes], window: int) -> tuple[int, int] | None:
    """(begin, end) of words that stand as a whole within `window` words after, or else before, words begin to end.

    An answer longer than the window must follow or precede directly.
    """
    low, high = block.bounds(int(block.documents_of(np.array([begin]))[0]))
    size, needle = max(window, len(sought)), b" " + b" ".join(sought) + b" "
    for first, last in ((end, min(end + size, high)), (max(begin - size, low), begin)):
        text = b" " + b" ".join(block.words(first, last)) + b" "
        # The nearest one: the first that follows, the last that precedes.
        place = text.find(needle) if first == end else text.rfind(needle)
        if place >= 0:
            found = first + text[:place].count(b" ")
            return found, found + len(sought)
    return None
