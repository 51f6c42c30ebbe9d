"""An exact search without sketches: every pair of an indexed document and any other that reaches the threshold.

The shingles of the indexed documents stand in one sorted list, each with the documents that hold it. Another document
is looked up shingle by shingle, and the documents that are met are counted: that count is the intersection. Nothing is
missed and nothing estimated, at a price of about 30 bytes an indexed shingle, and twice that while the index is built;
so it serves where one side is small, as in an audit of random documents against a corpus, or of the validation side
against the train side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.shingles import Hashes, iter_pieces, shingle_many, shingle_one

COUNTED_AT_ONCE = 1 << 22
"""(document, indexed document) meetings that are counted together; one document alone may exceed it."""
_MOST_FILTER_BITS = 26
_ROUNDING = 1e-6


class Match(NamedTuple):
    """Document `document` of a batch resembles the indexed document `member`."""

    document: int
    member: int
    similarity: float


class SimilarIndex:
    """An index of shingle sets. It holds arrays and numbers only, so it travels to worker processes.

    `n_indexed` documents are in it; `n_left_out` did not fit under the bound, and `n_short` take no part.
    """

    def __init__(self, sets: list[tuple[int, Hashes]], config: DuplicatesConfig, n_left_out: int, n_short: int) -> None:
        self.n_indexed, self.n_left_out, self.n_short = len(sets), n_left_out, n_short
        self._config = config
        self._members = np.array([member for member, _ in sets], np.int64)
        self._sizes = np.array([len(hashes) for _, hashes in sets], np.int64)
        hashes = np.concatenate([np.empty(0, np.uint64), *(hashes for _, hashes in sets)])
        order = np.argsort(hashes, kind="stable")
        self._owners = np.repeat(np.arange(len(sets), dtype=np.int32), self._sizes)[order]
        hashes = hashes[order]
        starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)])
        self._keys, self._starts = hashes[starts], np.append(starts, len(hashes))
        bits = min(_MOST_FILTER_BITS, max(1, 8 * len(self._keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._filter = np.zeros(1 << bits, bool)
        self._filter[self._keys >> self._shift] = True

    @property
    def members(self) -> NDArray[np.int64]:
        """The numbers of the indexed documents."""
        return self._members

    @classmethod
    def build(
        cls, documents: Iterable[tuple[int, str]], config: DuplicatesConfig, max_shingles: int = 10_000_000
    ) -> SimilarIndex:
        """Indexes (number, comparison form) of documents. One that would exceed `max_shingles` is left out."""
        sets: list[tuple[int, Hashes]] = []
        total = n_left_out = n_short = 0
        for number, form in documents:
            hashes = shingle_one(form, config)
            if not len(hashes):
                n_short += 1
            elif total + len(hashes) > max_shingles:
                n_left_out += 1
            else:
                sets.append((number, hashes))
                total += len(hashes)
        return cls(sets, config, n_left_out, n_short)

    def find(self, forms: list[str]) -> list[Match]:
        """Every pair whose Jaccard similarity reaches the threshold, by place in the batch, then in the index."""
        found: list[Match] = []
        threshold = self._config.threshold
        for documents, members, shared in self._iter_shared(*self._lookup(forms)):
            # The similarity is at most shared / size of either set, which needs no size of the other document.
            near = shared >= threshold * self._sizes[members] - _ROUNDING
            documents, members, shared = documents[near], members[near], shared[near]
            searched, place = np.unique(documents, return_inverse=True)
            texts = [forms[number] for number in searched.tolist()]
            sizes = np.diff(shingle_many(texts, self._config)[1])[place]
            similarity = shared / (sizes + self._sizes[members] - shared)
            for i in np.flatnonzero(similarity >= threshold).tolist():
                found.append(Match(int(documents[i]), int(self._members[members[i]]), float(similarity[i])))
        return found

    def _lookup(self, forms: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(document, place of the key) of every different shingle that the index holds, ascending."""
        n_keys = len(self._keys)
        parts = [np.empty(0, np.int64)]
        for documents, hashes, offsets in iter_pieces(forms, self._config) if n_keys else ():
            maybe = np.flatnonzero(self._filter[hashes >> self._shift])
            wanted = hashes[maybe]
            places = np.minimum(np.searchsorted(self._keys, wanted), n_keys - 1)
            met = self._keys[places] == wanted
            owner = documents[np.searchsorted(offsets, maybe[met], side="right") - 1]
            parts.append(owner * n_keys + places[met])
        document, place = np.divmod(np.unique(np.concatenate(parts)), max(1, n_keys))
        return document, place

    def _iter_shared(
        self, documents: NDArray[np.int64], places: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Yields (documents, members, number of shared shingles), some documents at a time."""
        counts = self._starts[places + 1] - self._starts[places]
        before = np.append(0, np.cumsum(counts))
        ends = np.append(np.flatnonzero(documents[1:] != documents[:-1]) + 1, len(documents))
        begin = 0
        while begin < len(documents):
            full = np.searchsorted(before[ends], before[begin] + COUNTED_AT_ONCE, side="right") - 1
            end = int(ends[max(full, np.searchsorted(ends, begin, side="right"))])
            some = slice(begin, end)
            steps = np.arange(before[end] - before[begin]) - np.repeat(before[some] - before[begin], counts[some])
            owners = self._owners[np.repeat(self._starts[places[some]], counts[some]) + steps]
            pairs, shared = np.unique(
                np.repeat(documents[some], counts[some]) * self.n_indexed + owners, return_counts=True
            )
            document, member = np.divmod(pairs, self.n_indexed)
            yield document, member, shared
            begin = end
