"""The true Jaccard similarity of candidate pairs, from the shingles of their texts.

Texts are read again for it, so a bounded number of shingle sets is remembered, the least recently used one goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.shingles import Hashes, jaccard, shingle_many

CACHE_HASHES = 1 << 23
"""Shingles that are remembered: 64 MB."""
CHARACTERS_AT_ONCE = 1 << 21
"""Characters of text that are shingled together."""

Documents = NDArray[np.int64]


class Verifier:
    """Compares documents by number. `form_of(i)` is the comparison form of document i."""

    def __init__(self, form_of: Callable[[int], str], config: DuplicatesConfig) -> None:
        self._form_of = form_of
        self._config = config
        self._sets: OrderedDict[int, Hashes] = OrderedDict()
        self._n_hashes = 0
        self.compared = 0

    def similarities(self, a: Documents, b: Documents) -> NDArray[np.float64]:
        """The similarity of each pair (a[i], b[i])."""
        pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        out = np.empty(len(pairs))
        begin = 0
        while begin < len(pairs):
            end = begin + self._load(pairs[begin:])
            for place in range(begin, end):
                one, other = pairs[place]
                out[place] = jaccard(self._sets[one], self._sets[other])
            begin = end
        self.compared += len(pairs)
        return out

    def preload(self, documents: Iterable[int]) -> None:
        """Reads the first of these documents ahead, as many as are shingled together."""
        self._load([(document, document) for document in documents])

    def _load(self, pairs: list[tuple[int, int]]) -> int:
        """Remembers the sets of at least the first pair, and returns of how many."""
        self._forget()
        forms: dict[int, str] = {}
        characters = taken = 0
        while taken < len(pairs) and characters < CHARACTERS_AT_ONCE:
            for document in pairs[taken]:
                if document in self._sets:
                    self._sets.move_to_end(document)
                elif document not in forms:
                    forms[document] = self._form_of(document)
                    characters += len(forms[document])
            taken += 1
        for document, hashes in zip(forms, self._shingle(list(forms.values())), strict=True):
            self._sets[document] = hashes
            self._n_hashes += len(hashes)
        return taken

    def _shingle(self, forms: list[str]) -> Iterator[Hashes]:
        hashes, offsets = shingle_many(forms, self._config)
        bounds = offsets.tolist()
        # Copies: a view would keep the sets of all its neighbours.
        return (hashes[first:last].copy() for first, last in zip(bounds, bounds[1:], strict=False))

    def _forget(self) -> None:
        while self._n_hashes > CACHE_HASHES:
            self._n_hashes -= len(self._sets.popitem(last=False)[1])
