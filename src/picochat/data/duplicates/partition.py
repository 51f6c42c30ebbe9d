"""Groups of equal keys among any number of (key, document) entries, with a bounded number of them in memory.

Keys are spread evenly over 64 bits, so their top bits cut the entries into parts of about equal size: entries are
counted, then written part by part to a scratch file, then sorted part by part. Equal keys meet in one part. Only a key
that stands very often makes a part larger than the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array

Keys = NDArray[np.uint64]
Documents = NDArray[np.int64]
Entries = Callable[[], Iterable[tuple[Keys, Documents]]]
"""Yields the entries in stretches, documents ascending; called twice when they do not fit into one part."""

ENTRIES_AT_ONCE = 1 << 20
"""Entries that are sorted together."""
_MOST_BITS = 16


class Groups(NamedTuple):
    """Entries sorted by key, then document. Group i is `documents[starts[i]:starts[i + 1]]`."""

    keys: Keys
    documents: Documents
    starts: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


def iter_groups(
    entries: Entries, total: int, scratch: Path, *, at_least: int = 2, at_once: int = ENTRIES_AT_ONCE
) -> Iterator[tuple[Groups, float]]:
    """Yields (groups of at least `at_least` members, share of the parts that are done) until all parts are done.

    `total` bounds the number of entries; `scratch` is a folder for two files of 8 bytes an entry, which stay.
    """
    if total <= at_once:
        yield group(*_join(entries()), at_least=at_least), 1.0
        return
    bits = min(_MOST_BITS, (2 * total // at_once).bit_length())
    counts = sum((_count(keys, bits) for keys, _ in entries()), np.zeros(1 << bits, np.int64))
    ends = np.cumsum(counts)
    keys_on_disk = open_array(scratch / "keys.u64", np.uint64, (total,), create=True)
    documents_on_disk = open_array(scratch / "documents.i64", np.int64, (total,), create=True)
    _write_parts(entries, bits, ends - counts, keys_on_disk, documents_on_disk)
    for number, (first, last) in enumerate(zip((ends - counts).tolist(), ends.tolist(), strict=True), 1):
        part = np.array(keys_on_disk[first:last]), np.array(documents_on_disk[first:last])
        yield group(*part, at_least=at_least), number / len(counts)


def group(keys: Keys, documents: Documents, *, at_least: int = 2) -> Groups:
    """The groups of equal keys that have `at_least` members; documents are ascending when they come in."""
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    large = sizes >= at_least
    # Few entries are left here in general, so that only they are brought into order inside their group.
    members = np.repeat(large, sizes)
    keys, documents, sizes = keys[members], documents[order[members]], sizes[large]
    order = np.lexsort((documents, keys))
    return Groups(keys, documents[order], np.concatenate(([0], np.cumsum(sizes))))


def _count(keys: Keys, bits: int) -> NDArray[np.int64]:
    return np.bincount(_part_of(keys, bits), minlength=1 << bits)


def _part_of(keys: Keys, bits: int) -> NDArray[np.uint16]:
    """The number of the part of each key; 16 bits are sorted fastest."""
    return (keys >> np.uint64(64 - bits)).astype(np.uint16)


def _join(stretches: Iterable[tuple[Keys, Documents]]) -> tuple[Keys, Documents]:
    parts = [(np.empty(0, np.uint64), np.empty(0, np.int64)), *stretches]
    keys, documents = zip(*parts, strict=True)
    return np.concatenate(keys), np.concatenate(documents)


def _write_parts(entries: Entries, bits: int, places: NDArray[np.int64], keys_out: Keys, documents_out: Documents):
    """Every entry to the next free place of its part; `places` are where the parts begin, and are moved on."""
    for keys, documents in entries():
        part = _part_of(keys, bits)
        order = np.argsort(part, kind="stable")
        keys, documents, counts = keys[order], documents[order], _count(keys, bits)
        begin = 0
        for number in np.flatnonzero(counts).tolist():
            size, place = int(counts[number]), int(places[number])
            keys_out[place : place + size] = keys[begin : begin + size]
            documents_out[place : place + size] = documents[begin : begin + size]
            begin += size
            places[number] += size
