"""The stream of an epoch: which documents stand in it, how often, and in which order.

An epoch passes over the corpus once for every whole copy that a source's weight asks for, in the order of the corpus;
of a fraction of a copy it takes the documents whose hash lies below it. Weight 2 gives each document twice, weight
0.25 a quarter of the documents, chosen by what they say and not by where they stand. The held-out side has no weights.

Nothing here holds a list of documents: the records are read in blocks, whatever the size of the corpus.
"""

from __future__ import annotations

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
        self._side = SIDES[side]
        self._weights = np.asarray(weights if side == "train" else [1.0] * len(weights), np.float64)

    @property
    def passes(self) -> int:
        """Passes over the corpus that the largest weight asks for."""
        return int(np.ceil(self._weights.max())) if len(self._weights) else 0

    def parts(self, part_bytes: int) -> Iterator[StreamPart]:
        """Cuts the stream where a part has reached `part_bytes` of text, and at the end of each pass.

        The cuts follow from the records alone, so they are the same for any number of workers.
        """
        number = 0
        for copy in range(self.passes):
            begin, documents, size = 0, 0, 0
            for first, sizes in self._selected_bytes(copy):
                for at in np.flatnonzero(sizes).tolist():
                    documents, size = documents + 1, size + int(sizes[at]) - 1
                    if size >= part_bytes:
                        yield StreamPart(number, copy, begin, first + at + 1, documents, size)
                        number, begin, documents, size = number + 1, first + at + 1, 0, 0
            if documents:
                yield StreamPart(number, copy, begin, len(self._records), documents, size)
                number += 1

    def iter_documents(self, part: StreamPart) -> Iterator[int]:
        """The numbers of the documents of a part, in order."""
        for first in range(part.begin, part.end, BLOCK_DOCUMENTS):
            block = self._records[first : min(first + BLOCK_DOCUMENTS, part.end)]
            yield from (first + np.flatnonzero(self._copies(block) > part.copy)).tolist()

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

    def _selected_bytes(self, copy: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Blocks of (number of the first document, bytes + 1 of each document that stands in this pass, else 0)."""
        for first in range(0, len(self._records), BLOCK_DOCUMENTS):
            block = self._records[first : first + BLOCK_DOCUMENTS]
            yield first, np.where(self._copies(block) > copy, block["length"].astype(np.int64) + 1, 0)

    def _copies(self, block: NDArray[np.void]) -> NDArray[np.int64]:
        """How often each document of a block stands in an epoch."""
        weights = self._weights[block["source"]]
        whole = np.floor(weights)
        extra = (weights > whole) & (document_fractions(block) < weights - whole)
        return np.where(block["split"] == self._side, whole + extra, 0).astype(np.int64)


def document_fractions(block: NDArray[np.void]) -> NDArray[np.float64]:
    """A number in [0, 1) a document, from bytes 8 to 15 of its sha256: another choice than that of the hold-out."""
    digests = np.ascontiguousarray(block["sha256"]).view(np.uint8).reshape(-1, 32)
    words = np.ascontiguousarray(digests[:, 8:16]).view(">u8").ravel()
    return words.astype(np.float64) / 2**64
