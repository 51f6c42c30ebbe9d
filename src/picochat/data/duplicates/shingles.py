"""Shingles: the set of a document's word 5-grams, as 64-bit hashes that numpy makes for many documents at once.

A word 5-gram of a comparison form is a stretch of its UTF-8 bytes, because words stand one blank apart. With a random
word `t[c]` for each byte and an odd `R`, the stretch of places s to e hashes to

    (sum of t[byte i] * R^i for s <= i < e) * R^-s    mod 2^64

which is a difference of two prefix sums and says nothing about where the stretch stands (Karp and Rabin 1987, with
random words in place of the bytes' values). A bijective mix spreads it over all bits. Two different shingles of usual
length share a hash with a chance under 2^-50, so the Jaccard similarity of hash sets is that of the shingle sets.

Text without word spaces (Chinese, Japanese, Thai, or one endless line of code) is known by its "words": over 15
characters in the mean, where languages with spaces stay under 13. Blanks are layout there and are left out, and a
character counts as half a word: 10-grams of characters, and documents of at least 26.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.duplicates.config import DuplicatesConfig

SPACELESS_ABOVE = 15
"""Characters of a mean "word" from which on a text counts as written without word spaces."""
CHARACTERS_A_WORD = 2
"""What stands for one word where words cannot be seen."""
BLOCK_BYTES = 1 << 17
"""Bytes that are hashed at once: their 8-byte sums stay in a processor's caches."""

Hashes = NDArray[np.uint64]
_BLANK = 32
_ROOT = 0x9E3779B97F4A7C15
_ROOT_INVERSE = pow(_ROOT, -1, 1 << 64)
_TABLE_SEED = 0x53


class Piece(NamedTuple):
    """Shingles of some documents of a batch, in the order of the text and with repetitions.

    `hashes[offsets[i]:offsets[i + 1]]`, never empty, are of document `documents[i]`. A long document comes in several
    pieces.
    """

    documents: NDArray[np.int64]
    hashes: Hashes
    offsets: NDArray[np.int64]


def shingle_many(forms: Sequence[str], config: DuplicatesConfig) -> tuple[Hashes, NDArray[np.int64]]:
    """The shingle sets of comparison forms: flat hashes (u64) and offsets (len(forms) + 1, i64).

    The set of form i is `hashes[offsets[i]:offsets[i + 1]]`, ascending without repetition; it is empty when the
    document takes no part.
    """
    sets: list[list[Hashes]] = [[] for _ in forms]
    for piece in iter_pieces(forms, config):
        bounds = piece.offsets.tolist()
        for number, document in enumerate(piece.documents.tolist()):
            sets[document].append(piece.hashes[bounds[number] : bounds[number + 1]])
    unique = [_as_set(parts) for parts in sets]
    offsets = np.zeros(len(forms) + 1, np.int64)
    np.cumsum([len(part) for part in unique], out=offsets[1:])
    return np.concatenate([np.empty(0, np.uint64), *unique]), offsets


def shingle_one(form: str, config: DuplicatesConfig) -> Hashes:
    """The shingle set of one comparison form, ascending; empty when the document takes no part."""
    return shingle_many([form], config)[0]


def jaccard(a: Hashes, b: Hashes) -> float:
    """|A and B| / |A or B| of two shingle sets (ascending, without repetition); 0 when one is empty."""
    if not len(a) or not len(b):
        return 0.0
    both = np.concatenate((a, b))
    both.sort(kind="stable")  # a merge: both halves are sorted
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)


def iter_pieces(forms: Sequence[str], config: DuplicatesConfig) -> Iterator[Piece]:
    """Yields the shingles of every document that takes part. Memory is bounded by a block, or by the longest word."""
    words, characters = [], []
    for number, form in enumerate(forms):
        n_words = form.count(" ") + 1
        if len(form) > SPACELESS_ABOVE * n_words:
            n_characters = len(form) - n_words + 1
            if n_characters >= CHARACTERS_A_WORD * config.min_words:
                characters.append(_Text(number, form.replace(" ", ""), n_characters))
        elif n_words >= config.min_words:
            words.append(_Text(number, form, n_words))
    yield from _iter_kind(words, config.ngram_words, _find_words)
    yield from _iter_kind(characters, CHARACTERS_A_WORD * config.ngram_words, _find_characters)


class _Text(NamedTuple):
    """A document that takes part, and of how many words or characters it is."""

    number: int
    text: str
    n_units: int


class _Units(NamedTuple):
    """The bytes of texts, and where their words or characters begin and end."""

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]


def _find_words(texts: list[str]) -> _Units:
    data = np.frombuffer(" ".join(texts).encode(), np.uint8)
    bounds = np.concatenate(([-1], np.flatnonzero(data == _BLANK), [len(data)]))
    return _Units(data, bounds[:-1] + 1, bounds[1:])


def _find_characters(texts: list[str]) -> _Units:
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    bounds = np.append(np.flatnonzero((data & 0xC0) != 0x80), len(data))
    return _Units(data, bounds[:-1], bounds[1:])


def _iter_kind(texts: list[_Text], n: int, find_units: Callable[[list[str]], _Units]) -> Iterator[Piece]:
    """The pieces of documents of one kind: short ones together in blocks, a long one in parts."""
    block: list[_Text] = []
    size = 0
    for text in texts:
        length = len(text.text)
        if block and size + length > BLOCK_BYTES:
            yield _hash_block(block, find_units([text.text for text in block]), n)
            block, size = [], 0
        if length > BLOCK_BYTES:
            yield from _hash_long(text.number, find_units([text.text]), n)
        else:
            block.append(text)
            size += length
    if block:
        yield _hash_block(block, find_units([text.text for text in block]), n)


def _hash_block(block: list[_Text], units: _Units, n: int) -> Piece:
    """All n-grams of some short documents, without those that reach over the end of a document."""
    counts = np.array([text.n_units for text in block])
    inside = np.ones(len(units.begins), bool)
    for back in range(1, n):
        inside[np.cumsum(counts) - back] = False
    hashes = _hash_ngrams(units.data, units.begins, units.ends, n)[inside[: len(inside) - n + 1]]
    return Piece(np.array([text.number for text in block]), hashes, np.append(0, np.cumsum(counts - (n - 1))))


def _hash_long(number: int, units: _Units, n: int) -> Iterator[Piece]:
    """All n-grams of one document, part by part; parts share the units that n-grams of both need."""
    first, total = 0, len(units.begins) - n + 1
    while first < total:
        start = int(units.begins[first])
        reach = int(np.searchsorted(units.ends, start + BLOCK_BYTES, side="right"))
        stop = min(total, max(first + 1, reach - n + 1))
        some = slice(first, stop + n - 1)
        data = units.data[start : int(units.ends[stop + n - 2])]
        hashes = _hash_ngrams(data, units.begins[some] - start, units.ends[some] - start, n)
        yield Piece(np.array([number]), hashes, np.array([0, stop - first]))
        first = stop


def _hash_ngrams(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], n: int) -> Hashes:
    """The hashes of all stretches of n units, in order: stretch i is `data[begins[i]:ends[i + n - 1]]`."""
    powers, inverses = _powers(max(2 * BLOCK_BYTES, 1 << (len(data) - 1).bit_length()))
    sums = np.zeros(len(data) + 1, np.uint64)
    terms = _table().take(data)
    terms *= powers[: len(data)]
    np.cumsum(terms, out=sums[1:])
    begins = begins[: len(begins) - n + 1]
    hashes = sums.take(ends[n - 1 :])
    hashes -= sums.take(begins)
    hashes *= inverses.take(begins)
    return mix(hashes)


def mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), in place; a bijection."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


@lru_cache(maxsize=1)
def _table() -> Hashes:
    """A fixed random word for each byte."""
    return mix(np.arange(1, 257, dtype=np.uint64) * np.uint64(_ROOT) + np.uint64(_TABLE_SEED))


@lru_cache(maxsize=1)
def _powers(size: int) -> tuple[Hashes, Hashes]:
    """R^i and R^-i for i below `size`."""
    return _powers_of(_ROOT, size), _powers_of(_ROOT_INVERSE, size)


def _powers_of(root: int, size: int) -> Hashes:
    return np.cumprod(np.append(np.uint64(1), np.full(size - 1, root, np.uint64)))


def _as_set(parts: list[Hashes]) -> Hashes:
    if not parts:
        return np.empty(0, np.uint64)
    hashes = parts[0].copy() if len(parts) == 1 else np.concatenate(parts)
    hashes.sort()
    keep = np.ones(len(hashes), bool)
    np.not_equal(hashes[1:], hashes[:-1], out=keep[1:])
    return hashes if keep.all() else hashes[keep]
