"""Training rows of one shape, whatever they are made of: windows of documents, or packed conversations. Torch-free.

Suffixes: R rows, T tokens of a row. Targets of IGNORE count for nothing. `spans` say which piece of which document
or conversation stands in a row, for the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from picochat.data.packing import pack_best_fit

IGNORE = -100
Item = tuple[Sequence[int] | NDArray[np.integer], Sequence[bool]]
"""Ids, and which of them are targets."""
CONVERSATION_BASE = 1 << 40
"""Numbers of conversations start here in `spans`, those of documents at 0."""


@dataclass(frozen=True)
class RowBlock:
    """Some rows, as arrays (R, T): inputs, targets, segment ids (tokens see only their own segment; 0 is padding)."""

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    segments: NDArray[np.int64]
    spans: NDArray[np.int64]
    """(pieces, 3): document, token offset inside it, length; in the order in which they stand."""
    positions: NDArray[np.int64] | None = None
    """(R, T): rotary positions that begin again with each piece; None counts on through the row."""


class RowSource(Protocol):
    """Rows that can be drawn by number. `epochs` says in which pass each row is drawn; None is the first."""

    row_tokens: int

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock: ...


class Pieces(NamedTuple):
    """Where documents stand in a stretch of a stream: places, numbers in the corpus, token offsets inside them."""

    starts: NDArray[np.int64]
    documents: NDArray[np.int64]
    offsets: NDArray[np.int64]


class TokenStream(Protocol):
    """Documents one after another as one stream of tokens, in memory or in shards."""

    @property
    def n_tokens(self) -> int: ...

    def read(self, begin: int, end: int) -> NDArray[np.integer]:
        """The tokens of places `begin` to `end`."""
        ...

    def pieces(self, begin: int, end: int) -> Pieces:
        """The pieces that overlap the places `begin` to `end`; the first one may start before them."""
        ...


class WindowRows:
    """Windows of T+1 tokens with stride T over one stream of `<bos> text <eos>` documents.

    `shift(epoch)`, from 0 to T-1, moves the grid of windows in each pass, so that later passes cut elsewhere.
    """

    def __init__(self, stream: TokenStream, row_tokens: int, shift: Callable[[int], int] | None = None) -> None:
        self.row_tokens = row_tokens
        self._stream = stream
        self._shift = shift
        longest_shift = row_tokens - 1 if shift else 0
        self._rows = max(0, (stream.n_tokens - 1 - longest_shift) // row_tokens)

    def __len__(self) -> int:
        return self._rows

    def begin_of(self, row: int, epoch: int) -> int:
        """The place in the stream at which a row begins."""
        return row * self.row_tokens + (self._shift(epoch) if self._shift else 0)

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock:
        passes = np.zeros_like(rows) if epochs is None else epochs
        begins = [self.begin_of(row, epoch) for row, epoch in zip(rows.tolist(), passes.tolist(), strict=True)]
        window = np.empty((len(rows), self.row_tokens + 1), np.int64)
        segments = np.empty((len(rows), self.row_tokens), np.int64)
        spans = []
        for row, begin in enumerate(begins):
            window[row] = self._stream.read(begin, begin + self.row_tokens + 1)
            found = spans_of(self._stream.pieces(begin, begin + self.row_tokens), begin, begin + self.row_tokens)
            segments[row] = np.repeat(np.arange(1, len(found) + 1), found[:, 2])
            spans.append(found)
        return RowBlock(window[:, :-1], window[:, 1:], segments, np.concatenate(spans))


def spans_of(pieces: Pieces, begin: int, end: int) -> NDArray[np.int64]:
    """(pieces, 3): document, offset and length of what the places `begin` to `end` hold of each piece."""
    first = np.maximum(pieces.starts, begin)
    ends = np.append(first[1:], end)
    return np.stack([pieces.documents, pieces.offsets + first - pieces.starts, ends - first], axis=1)


class PackedRows:
    """Whole items (ids and a loss mask each) packed into rows; an item is one segment."""

    def __init__(self, items: Sequence[Item], numbers: Sequence[int], row_tokens: int, pad: int) -> None:
        """An item of n ids gives n - 1 pairs of input and target. `numbers` name the items in `spans`."""
        self.row_tokens = row_tokens
        layout = pack_best_fit([len(ids) - 1 for ids, _ in items], row_tokens)
        shape = (len(layout), row_tokens)
        self._tokens = np.full(shape, pad, np.int32)
        self._targets = np.full(shape, IGNORE, np.int32)
        self._segments = np.zeros(shape, np.int32)
        self._spans: list[NDArray[np.int64]] = []
        for row, members in enumerate(layout):
            self._fill(row, [(items[i], numbers[i]) for i in members])

    def _fill(self, row: int, members: list[tuple[Item, int]]) -> None:
        at = 0
        spans = []
        for segment, ((ids, mask), number) in enumerate(members, 1):
            ids_array, length = np.asarray(ids, np.int32), len(ids) - 1
            place = slice(at, at + length)
            self._tokens[row, place] = ids_array[:-1]
            self._targets[row, place] = np.where(np.asarray(mask, bool)[1:], ids_array[1:], IGNORE)
            self._segments[row, place] = segment
            spans.append((number, 0, length))
            at += length
        self._spans.append(np.asarray(spans, np.int64))

    def __len__(self) -> int:
        return len(self._tokens)

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock:
        spans = np.concatenate([self._spans[int(row)] for row in rows])
        tables = (self._tokens, self._targets, self._segments)
        tokens, targets, segments = (table[rows].astype(np.int64) for table in tables)
        return RowBlock(tokens, targets, segments, spans)


class JoinedRows:
    """Two sources as one: first all rows of `first`, then `extra_rows` evenly spaced rows of `second`."""

    def __init__(self, first: RowSource, second: RowSource, extra_rows: int) -> None:
        if first.row_tokens != second.row_tokens:
            raise ValueError(f"rows of {first.row_tokens} and of {second.row_tokens} tokens cannot be joined")
        self.row_tokens = first.row_tokens
        self._first, self._second = first, second
        self._extra = np.linspace(0, len(second), num=extra_rows, endpoint=False).astype(np.int64)

    def __len__(self) -> int:
        return len(self._first) + len(self._extra)

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock:
        passes = np.zeros_like(rows) if epochs is None else epochs
        changes = np.flatnonzero(np.diff(rows < len(self._first))) + 1
        runs = zip(np.split(rows, changes), np.split(passes, changes), strict=True)
        blocks = [self._take_run(run, run_passes) for run, run_passes in runs]
        tokens, targets, segments, spans = (
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("tokens", "targets", "segments", "spans")
        )
        return RowBlock(tokens, targets, segments, spans, _joined_positions(blocks))

    def _take_run(self, rows: NDArray[np.int64], passes: NDArray[np.int64]) -> RowBlock:
        """Rows that all stand in one of the two."""
        if rows[0] < len(self._first):
            return self._first.take(rows, passes)
        return self._second.take(self._extra[rows - len(self._first)], passes)


def _joined_positions(blocks: Sequence[RowBlock]) -> NDArray[np.int64] | None:
    """Positions of all rows when some begin again inside a row; the others count on."""
    if all(block.positions is None for block in blocks):
        return None
    counted = (
        np.broadcast_to(np.arange(block.tokens.shape[1]), block.tokens.shape)
        if block.positions is None
        else block.positions
        for block in blocks
    )
    return np.concatenate(list(counted))
