"""Exact duplicates of a whole corpus: documents whose comparison forms have one digest; the first in order stays.

Digests lie in a memory map. They are grouped by their first 8 bytes in bounded memory, and compared in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.data.duplicates.partition import Documents, Groups, Keys, iter_groups
from picochat.data.duplicates.table import DOCUMENTS_AT_ONCE

DIGEST = np.dtype("V32")


def find_exact(forms: NDArray[np.void], scratch: Path) -> Documents:
    """The first document with the same form, -1 for documents that are the first: i64 (N,), a map in `scratch`.

    `forms` (N,) are sha256 digests of comparison forms.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    twin = open_array(scratch / "exact.i64", np.int64, (len(forms),), create=True)
    twin[:] = -1

    def entries() -> Iterator[tuple[Keys, Documents]]:
        for first in range(0, len(forms), DOCUMENTS_AT_ONCE):
            block = forms[first : first + DOCUMENTS_AT_ONCE]
            yield digest_keys(block), np.arange(first, first + len(block))

    for groups, _ in iter_groups(entries, len(forms), scratch):
        _mark(groups, forms, twin)
    return twin


def digest_keys(digests: NDArray[np.void]) -> Keys:
    """The first 8 bytes of each digest as u64, big endian."""
    table = np.ascontiguousarray(digests).view(np.uint8).reshape(-1, DIGEST.itemsize)
    return np.ascontiguousarray(table[:, :8]).view(">u8").ravel().astype(np.uint64)


def _mark(groups: Groups, forms: NDArray[np.void], twin: Documents) -> None:
    """Points every later member of a group to the first one with its digest; members are ascending."""
    firsts = groups.starts[:-1]
    owners = np.repeat(groups.documents[firsts], groups.sizes)
    same = forms[groups.documents] == forms[owners]
    later = same & (groups.documents != owners)
    twin[groups.documents[later]] = owners[later]
    for group in np.flatnonzero(np.logical_or.reduceat(~same, firsts)) if len(firsts) else ():
        seen: dict[bytes, int] = {}  # two digests with 8 bytes in common
        for document in groups.documents[groups.starts[group] : groups.starts[group + 1]].tolist():
            first = seen.setdefault(forms[document].tobytes(), document)
            twin[document] = first if first != document else -1
