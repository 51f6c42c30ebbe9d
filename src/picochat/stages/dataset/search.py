"""The documents that stay on the train side, searched piece by piece by several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.core.progress import Pace
from picochat.data.corpus import BLOCK_DOCUMENTS
from picochat.data.holdout import BATCH_BYTES
from picochat.data.split import TRAIN
from picochat.stages.contract import StageContext
from picochat.stages.dataset.join import CleanedPieces, Joined
from picochat.stages.dataset.piece_files import PieceRecord


class Query(NamedTuple):
    """What is asked of a batch of documents. It travels to worker processes."""

    find: Callable[[list[str]], list[tuple[int, Any]]]
    """From texts to (place in the batch, what was found there)."""
    forms: bool
    """Whether it reads comparison forms, or else the texts as they are."""


Found = list[tuple[int, Any]]
"""(document, what was found in it)."""


def search_train(
    ctx: StageContext, pieces: CleanedPieces, joined: Joined, query: Query, note: str
) -> Iterator[tuple[int, Any]]:
    """Everything that the query finds, in the order of the documents. Raises `workers.lost` or `run.stopped`."""
    searched = _write_mask(pieces, joined)
    jobs = [piece for piece, record in enumerate(pieces.records) if record.kept]
    total = sum(record.bytes for record in pieces.records)
    pace = Pace(ctx.clock, total)
    build = partial(_build_searcher, pieces.folder, tuple(pieces.records), query)
    for piece, found in zip(jobs, ctx.map(build, jobs, total), strict=True):
        yield from found
        pace.add(pieces.records[piece].bytes)
        ctx.progress.update(pace.done, pace.total, pace.tell(f"{note}"))
    del searched


def _write_mask(pieces: CleanedPieces, joined: Joined) -> NDArray[np.bool_]:
    """Which documents are searched. A map, so that all processes see it."""
    mask = _mask(pieces.folder, len(pieces), create=True)
    for first in range(0, len(pieces), BLOCK_DOCUMENTS):
        last = min(len(pieces), first + BLOCK_DOCUMENTS)
        mask[first:last] = joined.kept(first, last) & (joined.split[first:last] == TRAIN)
    return mask


def _mask(folder: Path, n: int, *, create: bool) -> NDArray[np.bool_]:
    return open_array(folder / "join" / "searched.u1", np.bool_, (n,), create=create)


def _build_searcher(folder: Path, records: Sequence[PieceRecord], query: Query) -> Callable[[int], Found]:
    pieces = CleanedPieces(folder, records, create=False)
    mask = _mask(folder, len(pieces), create=False)
    read = pieces.form if query.forms else pieces.text

    def search(piece: int) -> Found:
        first, last = int(pieces.firsts[piece]), int(pieces.firsts[piece + 1])
        numbers = (first + np.flatnonzero(mask[first:last])).tolist()
        return [
            (batch[place], found)
            for batch in _iter_batches(pieces, numbers)
            for place, found in query.find([read(number) for number in batch])
        ]

    return search


def _iter_batches(pieces: CleanedPieces, numbers: list[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for number in numbers:
        batch.append(number)
        size += int(pieces.documents["length"][number])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
