"""The stream of an epoch: which documents stand in it, how often, and in which order.

An epoch passes over the corpus once for every whole copy that a source's weight asks for, in the order of the corpus;
of a fraction of a copy it takes the documents whose hash lies below it. Weight 2 gives each document twice, weight
0.25 a quarter of the documents, chosen by what they say and not by where they stand. The held-out side has no weights.

Planted documents (canaries) are the exception in where they stand, never in how often: all their copies are spread over
the first pass, at places that follow from their digests. Passes of their own would put copy beside copy into one row,
where a model can copy from its context what it should know by heart.

Nothing here holds a list of documents: the records are read in blocks, whatever the size of the corpus.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.corpus import BLOCK_DOCUMENTS, CorpusReader
from picochat.data.split import SIDES, Side


class StreamPart(NamedTuple):
    """A stretch of the stream: one pass over the documents `begin` to `end` of the corpus, of those that belong."""

    number: int
    copy: int
    begin: int
    end: int
    documents: int
    bytes: int


class DocumentStream:
    """The documents of one side as an epoch takes them. `weights` are copies a source, in pack order."""

    def __init__(self, reader: CorpusReader, side: Side, weights: Sequence[float]) -> None:
        self._records = reader.documents
        self._n_found = reader.n_found
        self._side = SIDES[side]
        self._weights = np.asarray(weights if side == "train" else [1.0] * len(weights), np.float64)
        self._planted, self._planted_at = self._spread()

    @property
    def passes(self) -> int:
        """Passes over the corpus that the largest weight of a source asks for; planted ones need no more than one."""
        planted = self._records["source"][self._n_found :]
        weights = np.delete(self._weights, np.unique(planted)) if len(planted) else self._weights
        return max(int(np.ceil(weights.max())) if len(weights) else 0, int(len(self._planted) > 0))

    def parts(self, part_bytes: int) -> Iterator[StreamPart]:
        """Cuts the stream where a part has reached `part_bytes` of text, and at the end of each pass.

        The cuts follow from the records alone, so they are the same for any number of workers.
        """
        number = 0
        for copy in range(self.passes):
            begin, documents, size = 0, 0, 0
            for first, counts, sizes in self._selected(copy):
                for at in np.flatnonzero(counts).tolist():
                    documents, size = documents + int(counts[at]), size + int(sizes[at])
                    if size >= part_bytes:
                        yield StreamPart(number, copy, begin, first + at + 1, documents, size)
                        number, begin, documents, size = number + 1, first + at + 1, 0, 0
            if documents:
                yield StreamPart(number, copy, begin, len(self._records), documents, size)
                number += 1

    def iter_documents(self, part: StreamPart) -> Iterator[int]:
        """The numbers of the documents of a part, in order."""
        for first in range(part.begin, part.end, BLOCK_DOCUMENTS):
            last = min(first + BLOCK_DOCUMENTS, part.end)
            own = first + np.flatnonzero(self._own_copies(first, last) > part.copy)
            if part.copy == 0:
                low, high = np.searchsorted(self._planted_at, (first, last))
                # Stable: a planted document comes before the one at whose place it stands.
                order = np.argsort(np.append(self._planted_at[low:high], own), kind="stable")
                own = np.append(self._planted[low:high], own)[order]
            yield from own.tolist()

    def count_copies(self) -> NDArray[np.int64]:
        """How often each source's documents stand in the stream, all copies counted: int64 (sources, 3).

        Columns: different documents, documents with their copies, bytes of text with their copies.
        """
        totals = np.zeros((len(self._weights), 3), np.int64)
        for first in range(0, len(self._records), BLOCK_DOCUMENTS):
            block = self._records[first : first + BLOCK_DOCUMENTS]
            copies = self._copies(block)
            for column, amount in enumerate((copies > 0, copies, copies * block["length"].astype(np.int64))):
                totals[:, column] += np.bincount(block["source"], amount, len(self._weights)).astype(np.int64)
        return totals

    def count_by_document(self) -> NDArray[np.int64]:
        """How often each document of the corpus stands in the stream: int64 (documents,)."""
        blocks = range(0, len(self._records), BLOCK_DOCUMENTS)
        copies = [self._copies(self._records[first : first + BLOCK_DOCUMENTS]) for first in blocks]
        return np.concatenate(copies) if copies else np.zeros(0, np.int64)

    def _selected(self, copy: int) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Blocks of (number of the first document, documents and bytes at the place of each in this pass)."""
        for first in range(0, len(self._records), BLOCK_DOCUMENTS):
            last = min(first + BLOCK_DOCUMENTS, len(self._records))
            counts = (self._own_copies(first, last) > copy).astype(np.int64)
            sizes = counts * self._records["length"][first:last].astype(np.int64)
            if copy == 0:
                low, high = np.searchsorted(self._planted_at, (first, last))
                places = self._planted_at[low:high] - first
                np.add.at(counts, places, 1)
                np.add.at(sizes, places, self._records["length"][self._planted[low:high]].astype(np.int64))
            yield first, counts, sizes

    def _spread(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The copies of all planted documents, and the numbers of the documents before which they stand, in order."""
        planted = self._records[self._n_found :]
        numbers = self._n_found + np.repeat(np.arange(len(planted)), self._copies(planted))
        places = [_place(self._records["sha256"][n].tobytes(), copy, self._n_found) for copy, n in enumerate(numbers)]
        at = np.array(places, np.int64)
        order = np.lexsort((numbers, at))
        return numbers[order].astype(np.int64), at[order]

    def _own_copies(self, first: int, last: int) -> NDArray[np.int64]:
        """`_copies` of a stretch, 0 for planted documents, which stand elsewhere."""
        copies = self._copies(self._records[first:last])
        copies[max(0, self._n_found - first) :] = 0
        return copies

    def _copies(self, block: NDArray[np.void]) -> NDArray[np.int64]:
        """How often each document of a block stands in an epoch."""
        weights = self._weights[block["source"]]
        whole = np.floor(weights)
        extra = (weights > whole) & (document_fractions(block) < weights - whole)
        return np.where(block["split"] == self._side, whole + extra, 0).astype(np.int64)


def _place(digest: bytes, copy: int, n: int) -> int:
    """Where a copy of a planted document stands: a document of the n that were found."""
    return int.from_bytes(hashlib.sha256(digest + copy.to_bytes(4, "big")).digest()[:8], "big") % max(1, n)


def document_fractions(block: NDArray[np.void]) -> NDArray[np.float64]:
    """A number in [0, 1) a document, from bytes 8 to 15 of its sha256: another choice than that of the hold-out."""
    digests = np.ascontiguousarray(block["sha256"]).view(np.uint8).reshape(-1, 32)
    words = np.ascontiguousarray(digests[:, 8:16]).view(">u8").ravel()
    return words.astype(np.float64) / 2**64
