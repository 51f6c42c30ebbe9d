"""A table of grams of one length: which of them stand in a long text, and which fields they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.hashing import GramHashes, Hashes
from picochat.data.contamination.words import Places

_FILTER_CELLS = 16
"""Cells of the filter for each gram: one look-up in sixteen goes on by chance."""
_FILTER_BITS = (12, 26)


@dataclass(frozen=True)
class GramTable:
    """Different grams by hash, each with its postings: fields, and the word of the field where the gram begins.

    A gram that a field holds several times has one posting, its first place.
    """

    n: int
    hashes: Hashes
    """Sorted, each once."""
    first: Places
    """Number of the first posting of each gram, and one more at the end."""
    fields: NDArray[np.int32]
    places: NDArray[np.int32]
    cells: NDArray[np.bool_]
    """A filter by the first bits of the hash: no gram of the table is where it is False."""

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, grams: GramHashes) -> tuple[Places, Places]:
        """(places in the text, numbers of the grams that stand there), in order of the places."""
        found_places, found_numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        if len(self):
            for begin, hashes in grams.iter_all(self.n):
                places = np.flatnonzero(self.cells[hashes >> self._shift])
                places, numbers = self._exact(places, hashes[places])
                found_places.append(places + begin)
                found_numbers.append(numbers)
        return np.concatenate(found_places), np.concatenate(found_numbers)

    def find_at(self, grams: GramHashes, places: Places) -> tuple[Places, Places]:
        """As `find`, looking only at grams that begin at these places."""
        places = places[places + self.n <= grams.n_words]
        return self._exact(places, grams.at(places, self.n)) if len(self) else (places[:0], places[:0])

    def counts(self, numbers: Places) -> Places:
        """Postings of each gram."""
        return self.first[numbers + 1] - self.first[numbers]

    def postings(self, numbers: Places) -> tuple[Places, Places]:
        """(index into `numbers`, number of the posting) of every posting of every gram."""
        counts = self.counts(numbers)
        which = np.repeat(np.arange(len(numbers)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.first[numbers][which] + within

    @property
    def _shift(self) -> np.uint64:
        return np.uint64(64 - (len(self.cells).bit_length() - 1))

    def _exact(self, places: Places, hashes: Hashes) -> tuple[Places, Places]:
        numbers = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        same = self.hashes[numbers] == hashes
        return places[same], numbers[same]


def build_table(n: int, hashes: Hashes, fields: NDArray[np.integer], places: NDArray[np.integer]) -> GramTable:
    """A table of grams of n words from all their occurrences, in any order."""
    order = np.lexsort((places, fields, hashes))
    hashes, fields, places = hashes[order], fields[order], places[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (fields[1:] != fields[:-1])
    hashes, fields, places = hashes[new], fields[new], places[new]
    different, first = np.unique(hashes, return_index=True)
    low, high = _FILTER_BITS
    bits = min(max(low, (_FILTER_CELLS * len(different)).bit_length()), high)
    cells = np.zeros(1 << bits, np.bool_)
    cells[different >> np.uint64(64 - bits)] = True
    ends = np.append(first, len(hashes)).astype(np.int64)
    return GramTable(n, different, ends, fields.astype(np.int32), places.astype(np.int32), cells)
