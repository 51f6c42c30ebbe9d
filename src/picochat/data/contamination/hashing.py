"""64-bit hashes of words and of grams of words, computed for whole texts at once.

A word's hash is a polynomial in its bytes, a gram's hash a polynomial in the hashes of its words, both modulo 2**64
with an odd base. Running sums of the terms give every word and every gram by one subtraction; the power of the place
where it begins is taken out by multiplying with its inverse. Hashes find candidates only: whoever uses them compares
the words themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.words import FOLD, IS_WORD, Places, word_edges

Hashes = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_SLICE_BYTES = 1 << 17
"""Bytes that are hashed together: the tables of powers and the sums stay in the cache."""
_TAIL_BYTES = 1 << 10
_SLICE_WORDS = 1 << 15


class WordHashes(NamedTuple):
    """Hash, first byte and the byte after the last of every word of a plain text."""

    hashes: Hashes
    starts: Places
    ends: Places


def hash_words(data: bytes) -> WordHashes:
    """The words of plain bytes. Equal words have equal hashes whatever their case and wherever they stand."""
    array = np.frombuffer(data, np.uint8)
    found = [WordHashes(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))]
    for begin, end in _iter_slices(array):
        piece = array[begin:end]
        starts, ends = word_edges(piece)
        terms = _byte_terms()[piece]
        terms *= _powers(_BASE, len(piece))[: len(piece)]
        hashes = _spans(_running_sums(terms), starts, ends)
        found.append(WordHashes(mix(hashes), starts + begin, ends + begin))
    return WordHashes(*(np.concatenate(part) for part in zip(*found, strict=True)))


class GramHashes:
    """Hashes of the grams of a word sequence, of any length in words."""

    def __init__(self, hashes: Hashes) -> None:
        self.n_words = len(hashes)
        self._sums = _running_sums(hashes * _powers(_BASE, self.n_words)[: self.n_words])
        self._inverse = _powers(_INVERSE, self.n_words)

    def iter_all(self, n: int) -> Iterator[tuple[int, Hashes]]:
        """(first place, hashes) of the grams of n words, slice by slice."""
        for begin in range(0, self.n_words - n + 1, _SLICE_WORDS):
            end = min(begin + _SLICE_WORDS, self.n_words - n + 1)
            sums = self._sums[begin + n : end + n] - self._sums[begin:end]
            sums *= self._inverse[begin:end]
            yield begin, sums

    def all(self, n: int) -> Hashes:
        """Every gram of n words; the gram at place i begins with word i."""
        parts = [hashes for _, hashes in self.iter_all(n)]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)

    def at(self, places: Places, n: int) -> Hashes:
        """The grams of n words that begin at these words."""
        return _spans(self._sums, places, places + n, self._inverse)


def mix(hashes: Hashes) -> Hashes:
    """Spreads every bit of a word's sum over all bits, one to one, so that grams are no sums of letters."""
    hashes = hashes ^ (hashes >> np.uint64(29))
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    return hashes ^ (hashes >> np.uint64(32))


def _spans(sums: Hashes, starts: Places, ends: Places, inverse: Hashes | None = None) -> Hashes:
    inverse = _powers(_INVERSE, len(sums)) if inverse is None else inverse
    return (sums[ends] - sums[starts]) * inverse[starts]


def _running_sums(terms: Hashes) -> Hashes:
    sums = np.empty(len(terms) + 1, np.uint64)
    sums[0] = 0
    np.cumsum(terms, out=sums[1:])
    return sums


def _iter_slices(array: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """(first byte, byte after the last) of slices that cut no word; a long word makes a long slice."""
    begin = 0
    while begin < len(array):
        end = begin + _SLICE_BYTES
        while end < len(array) and IS_WORD[array[end - 1]]:
            # Back to the last gap, which is near; a word longer than a slice makes the slice longer.
            gaps = np.flatnonzero(~IS_WORD[array[max(begin, end - _TAIL_BYTES) : end]])
            end = end - min(_TAIL_BYTES, end - begin) + int(gaps[-1]) + 1 if len(gaps) else end + _SLICE_BYTES
        yield begin, min(end, len(array))
        begin = end


def _powers(base: int, n: int) -> Hashes:
    """At least n powers of the base, from 0 on."""
    return _power_table(base, max(n, _SLICE_BYTES + 1, 1).bit_length())


@functools.lru_cache(maxsize=8)
def _power_table(base: int, bits: int) -> Hashes:
    table = np.ones(1 << bits, np.uint64)
    for bit in range(bits):
        table[1 << bit : 2 << bit] = table[: 1 << bit] * np.uint64(pow(base, 1 << bit, 1 << 64))
    return table


@functools.cache
def _byte_terms() -> Hashes:
    """A fixed random number for every byte: one for both cases of a letter, 0 for what separates words."""
    numbers = np.frombuffer(np.random.RandomState(13).bytes(256 * 8), "<u8").astype(np.uint64)
    return np.where(IS_WORD, numbers[np.frombuffer(FOLD, np.uint8)], np.uint64(0))
