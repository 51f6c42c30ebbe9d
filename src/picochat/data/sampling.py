"""Even samples of a corpus: documents in the order of their digests, as many as fit under a number of bytes.

Any beginning of that order is an even sample of all sources. Only what is taken is ever held or sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.corpus import BLOCK_DOCUMENTS, CorpusReader
from picochat.data.duplicates.exact import digest_keys
from picochat.data.split import SIDES, Side

_BUCKET_BITS = 16


class Sample(NamedTuple):
    """Numbers of documents in the order of their digests; `bytes` of their texts, and of all texts of the side."""

    documents: NDArray[np.int64]
    bytes: int
    side_documents: int
    side_bytes: int

    @property
    def limited(self) -> bool:
        """Whether something was left out."""
        return len(self.documents) < self.side_documents

    def first(self, lengths: NDArray[np.integer], limit_bytes: int) -> NDArray[np.int64]:
        """The longest beginning that fits, and one document in any case; `lengths` are those of all documents."""
        totals = np.cumsum(lengths[self.documents], dtype=np.int64)
        return self.documents[: max(1, int(np.searchsorted(totals, limit_bytes, side="right")))]


def draw_sample(reader: CorpusReader, side: Side, limit_bytes: int) -> Sample:
    """The first documents of a side that fit into `limit_bytes` together, and one in any case."""
    sizes = np.zeros(1 << _BUCKET_BITS, np.int64)
    side_documents = 0
    for _, block in _blocks(reader, side):
        side_documents += len(block)
        buckets = _buckets(block)
        sizes += np.bincount(buckets, block["length"].astype(np.float64), len(sizes)).astype(np.int64)
    last = int(np.searchsorted(np.cumsum(sizes), limit_bytes, side="right"))
    numbers, digests = [np.empty(0, np.int64)], [np.empty((0, 4), ">u8")]
    for own, block in _blocks(reader, side):
        chosen = _buckets(block) <= last
        numbers.append(own[chosen])
        digests.append(np.ascontiguousarray(block["sha256"][chosen]).view(">u8").reshape(-1, 4))
    columns = np.concatenate(digests).T
    found = np.concatenate(numbers)[np.lexsort(columns[::-1])]
    drawn = Sample(found, 0, side_documents, int(sizes.sum()))
    taken = drawn.first(reader.documents["length"], limit_bytes)
    return drawn._replace(documents=taken, bytes=int(reader.documents["length"][taken].sum()))


def _blocks(reader: CorpusReader, side: Side) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
    """(numbers, records) of the found documents of a side, a stretch at a time: no planted ones."""
    for first in range(0, reader.n_found, BLOCK_DOCUMENTS):
        block = reader.documents[first : min(first + BLOCK_DOCUMENTS, reader.n_found)]
        chosen = np.flatnonzero(block["split"] == SIDES[side])
        yield first + chosen, block[chosen]


def _buckets(block: NDArray[np.void]) -> NDArray[np.int64]:
    return (digest_keys(block["sha256"]) >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)
