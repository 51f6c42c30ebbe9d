"""Candidate pairs: documents that share a bucket, which is a key of one band.

All pairs of a bucket are candidates, not only neighbours or a first member, so a pair is found or missed for itself and
more documents never hide it. Pairs come in rounds (every member with the first, then with the second, ...), because
after one round a bucket of real copies is one cluster and the other rounds are skipped.

A bucket of more than `max_bucket` documents, made by a text that many share, is thinned by content alone, so that the
order of the documents changes nothing: every member is compared with 16 members whose sketches hash lowest, and with
the members whose next band agrees too; where that leaves more than `max_bucket`, with 16 of those again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from picochat.data.duplicates.partition import Groups, group
from picochat.data.duplicates.shingles import mix
from picochat.data.duplicates.table import SketchTable

REPRESENTATIVES = 16
PAIRS_AT_ONCE = 1 << 15

Documents = NDArray[np.int64]
Pairs = tuple[Documents, Documents]


def iter_pairs(groups: Groups, table: SketchTable, band: int, max_bucket: int) -> Iterator[Pairs]:
    """Yields the candidate pairs (a, b) of the buckets of one band, in stretches; every pair once."""
    large = groups.sizes > max_bucket
    yield from _all_pairs(_choose(groups, ~large))
    for number in np.flatnonzero(large).tolist():
        yield from _thinned(
            groups.documents[groups.starts[number] : groups.starts[number + 1]], table, band, max_bucket
        )


def thinned_keys(groups: Groups, max_bucket: int) -> NDArray[np.uint64]:
    """The keys of the buckets that are thinned, ascending."""
    return groups.keys[groups.starts[:-1][groups.sizes > max_bucket]]


def _choose(groups: Groups, chosen: NDArray[np.bool_]) -> Groups:
    members = np.repeat(chosen, groups.sizes)
    starts = np.concatenate(([0], np.cumsum(groups.sizes[chosen])))
    return Groups(groups.keys[members], groups.documents[members], starts)


def _all_pairs(groups: Groups) -> Iterator[Pairs]:
    """All pairs inside each group, in rounds: round j pairs member j with the members behind it."""
    first = np.repeat(groups.starts[:-1], groups.sizes)
    rank = np.arange(len(first)) - first
    behind, member = np.flatnonzero(rank > 0), 0
    while len(behind):
        for begin in range(0, len(behind), PAIRS_AT_ONCE):
            places = behind[begin : begin + PAIRS_AT_ONCE]
            yield groups.documents[first[places] + member], groups.documents[places]
        member += 1
        behind = behind[rank[behind] > member]


def _thinned(documents: Documents, table: SketchTable, band: int, max_bucket: int) -> Iterator[Pairs]:
    """Pairs with the representatives, then all pairs of the finer buckets."""
    yield from _star(documents, table)
    rest = np.setdiff1d(documents, _representatives(documents, table), assume_unique=True)
    finer = group(np.asarray(table.bands[(band + 1) % len(table.bands), rest]), rest)
    large = finer.sizes > max_bucket
    yield from _all_pairs(_choose(finer, ~large))
    for number in np.flatnonzero(large).tolist():
        yield from _star(finer.documents[finer.starts[number] : finer.starts[number + 1]], table)


def _star(documents: Documents, table: SketchTable) -> Iterator[Pairs]:
    """Every document with every representative."""
    others = documents
    for representative in _representatives(documents, table).tolist():
        others = others[others != representative]
        for begin in range(0, len(others), PAIRS_AT_ONCE):
            some = others[begin : begin + PAIRS_AT_ONCE]
            yield np.minimum(some, representative), np.maximum(some, representative)


def _representatives(documents: Documents, table: SketchTable) -> Documents:
    """The documents of the lowest hashes of a whole signature; of those with equal signatures one."""
    hashes = np.empty(len(documents), np.uint64)
    for begin in range(0, len(documents), PAIRS_AT_ONCE):
        words = table.signatures[documents[begin : begin + PAIRS_AT_ONCE]].view(np.uint64)
        hashes[begin : begin + PAIRS_AT_ONCE] = _hash_rows(words)
    return documents[np.unique(hashes, return_index=True)[1][:REPRESENTATIVES]]


def _hash_rows(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(words), np.uint64)
    for column in range(words.shape[1]):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += words[:, column]
        mix(hashes)
    return hashes
