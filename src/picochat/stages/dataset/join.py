"""All pieces together: which documents are the same or nearly so, which of them stay, and on which side.

State a document lies in memory maps below the folder of the pieces, so memory does not grow with the corpus. Everything
here follows from the pieces in their order; it is made again after a crash, while the pieces are kept.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.core.errors import refuse
from picochat.core.fs import make_dir
from picochat.core.hashing import sha256_bytes
from picochat.data.corpus import BLOCK_DOCUMENTS
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.exact import digest_keys, find_exact
from picochat.data.duplicates.forms import comparison_form
from picochat.data.duplicates.near import NearDuplicates, find_near_duplicates
from picochat.data.duplicates.table import SketchTable
from picochat.data.pack import Split
from picochat.data.split import TRAIN, VAL
from picochat.stages.dataset.piece_files import PIECE_DOCUMENT, PieceFiles, PieceRecord

OPEN_PIECES = 64
Progress = Callable[[float, float], None]


class CleanedPieces:
    """The kept documents of all pieces under one numbering, with their texts."""

    def __init__(self, folder: Path, records: Sequence[PieceRecord], *, create: bool = True) -> None:
        """`create` puts the records of all pieces together; other processes open what is there."""
        self.folder, self.records = folder, records
        self.firsts = np.cumsum([0, *(record.kept for record in records)])
        """Number of the first document of each piece, and the number of all."""
        self.documents = _open_documents(folder, records, int(self.firsts[-1]), create)
        self._opened = lru_cache(maxsize=OPEN_PIECES)(self._open)

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def files(self, piece: int) -> PieceFiles:
        return PieceFiles(self.folder, piece)

    def data(self, number: int) -> bytes:
        """The UTF-8 bytes of a document."""
        record = self.documents[number]
        begin = int(record["offset"])
        return self._opened(bisect_right(self.firsts, number) - 1)[begin : begin + int(record["length"])]

    def text(self, number: int) -> str:
        """A document. Raises `artifact.changed` when its bytes are no text any more."""
        try:
            return self.data(number).decode()
        except UnicodeDecodeError:
            refuse("artifact.changed", f"document {number:,} of the cleaned pieces is not what was written")

    def form(self, number: int) -> str:
        """The comparison form of a document."""
        return comparison_form(self.text(number))

    def _open(self, piece: int) -> mmap.mmap:
        with self.files(piece).text_path().open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _open_documents(folder: Path, records: Sequence[PieceRecord], total: int, create: bool) -> NDArray[np.void]:
    """The records of all documents as one map."""
    make_dir(folder / "join")
    joined = open_array(folder / "join" / "documents.bin", PIECE_DOCUMENT, (total,), create=create)
    first = 0
    for piece, record in enumerate(records if create else ()):
        for documents in PieceFiles(folder, piece).iter_documents(record.kept):
            joined[first : first + len(documents)] = documents
            first += len(documents)
    return joined


@dataclass(frozen=True)
class Joined:
    """One entry a document of the pieces. `exact` and `near` name the twin that stays, -1 without one."""

    exact: NDArray[np.int64]
    near: NDArray[np.int64]
    split: NDArray[np.uint8]
    cluster: NDArray[np.uint64]
    """The same for all members of a cluster, whatever their order: the smallest digest among their forms."""
    smallest_key: float
    """Of the clusters: the least hold-out that would hold out one of them."""
    stats: dict[str, Any] | None

    def kept(self, first: int, last: int) -> NDArray[np.bool_]:
        """Which documents of a stretch are nobody's duplicate."""
        return (self.exact[first:last] < 0) & (self.near[first:last] < 0)

    def count_sides(self) -> tuple[int, int]:
        """Documents that are nobody's duplicate, on the train and on the held-out side."""
        counts = np.zeros(2, np.int64)
        for first, last in _blocks(len(self.split)):
            counts += np.bincount(self.split[first:last][self.kept(first, last)], minlength=2)
        return int(counts[TRAIN]), int(counts[VAL])

    def iter_kept(self, side: int) -> Iterator[int]:
        """The numbers of the documents of a side that are nobody's duplicate, in order."""
        for first, last in _blocks(len(self.split)):
            chosen = self.kept(first, last) & (self.split[first:last] == side)
            yield from (first + np.flatnonzero(chosen)).tolist()


def join_pieces(pieces: CleanedPieces, config: DuplicatesConfig, split: Split, progress: Progress) -> Joined:
    """Searches for duplicates and decides the sides. `progress(done, total)` may raise to stop."""
    scratch, n = pieces.folder / "join", len(pieces)
    exact = find_exact(pieces.documents["form"], scratch)
    near = _find_near(pieces, exact, config, progress) if config.near and n else None
    root = near.root if near else np.arange(n)
    smallest = open_array(scratch / "smallest_key.f8", np.float64, (n,), create=True)
    cluster = open_array(scratch / "cluster.u8", np.uint64, (n,), create=True)
    smallest[:], cluster[:] = 1.0, np.iinfo(np.uint64).max
    for first, last in _blocks(n):
        block, roots = pieces.documents[first:last], _roots(exact, root, first, last)
        np.minimum.at(smallest, roots, block["key"])
        np.minimum.at(cluster, roots, digest_keys(block["form"]))
    side = open_array(scratch / "split.u1", np.uint8, (n,), create=True)
    least = 1.0
    for first, last in _blocks(n):
        roots = _roots(exact, root, first, last)
        side[first:last] = np.where(smallest[roots] < split.val_fraction, VAL, TRAIN)
        least = min(least, float(smallest[roots].min()))
    for first, last in reversed(list(_blocks(n))):  # a root never comes after its members
        cluster[first:last] = cluster[_roots(exact, root, first, last)]
    twins = near.twin if near else np.full(n, -1, np.int64)
    return Joined(exact, twins, side, cluster, least, near.stats if near else None)


def _roots(exact: NDArray[np.int64], root: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """The heads of the clusters of a stretch: that of the first document with the same form."""
    own = np.arange(first, last)
    return root[np.where(exact[first:last] >= 0, exact[first:last], own)]


def _blocks(n: int) -> list[tuple[int, int]]:
    return [(first, min(n, first + BLOCK_DOCUMENTS)) for first in range(0, n, BLOCK_DOCUMENTS)]


def _find_near(
    pieces: CleanedPieces, exact: NDArray[np.int64], config: DuplicatesConfig, progress: Progress
) -> NearDuplicates:
    scratch = pieces.folder / "join"
    table = SketchTable.create(scratch / "sketches", len(pieces), config)
    for piece, record in enumerate(pieces.records):
        first = int(pieces.firsts[piece])
        for sketches in pieces.files(piece).iter_sketches(record.kept, config.bands):
            table.put(first, sketches)
            first += len(sketches.takes_part)
    candidates = open_array(scratch / "candidates.u1", np.bool_, (len(pieces),), create=True)
    for first, last in _blocks(len(pieces)):
        candidates[first:last] = exact[first:last] < 0
    return find_near_duplicates(table, candidates, pieces.form, config, scratch, progress)


def content_digest(records: Sequence[PieceRecord]) -> str:
    """One digest over everything that the pieces of a source have read."""
    return sha256_bytes("".join(record.content for record in records).encode())
