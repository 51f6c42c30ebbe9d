"""Training rows of one shape, whatever they are made of: windows of documents, or packed conversations. Torch-free.

Suffixes: R rows, T tokens of a row. Targets of IGNORE count for nothing. `spans` say which piece of which document
or conversation stands in a row, for the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from picochat.data.packing import pack_best_fit

IGNORE = -100
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


class RowSource(Protocol):
    """Rows that can be drawn by number."""

    row_tokens: int

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.int64]) -> RowBlock: ...


class WindowRows:
    """Windows of T+1 tokens with stride T over one stream of `<bos> text <eos>` documents."""

    def __init__(
        self, tokens: NDArray[np.integer], starts: NDArray[np.int64], documents: NDArray[np.int64], row_tokens: int
    ) -> None:
        """`starts` are the stream positions at which the `documents` (their numbers in the corpus) begin."""
        self.row_tokens = row_tokens
        self._tokens = tokens
        self._starts = starts
        self._documents = documents
        self._rows = max(0, (len(tokens) - 1) // row_tokens)

    def __len__(self) -> int:
        return self._rows

    def take(self, rows: NDArray[np.int64]) -> RowBlock:
        positions_RT = rows[:, None] * self.row_tokens + np.arange(self.row_tokens + 1)
        window = self._tokens[positions_RT].astype(np.int64)
        segments = np.searchsorted(self._starts, positions_RT[:, :-1], side="right")
        spans = [self._spans(int(row) * self.row_tokens) for row in rows]
        return RowBlock(window[:, :-1], window[:, 1:], segments, np.concatenate(spans))

    def _spans(self, begin: int) -> NDArray[np.int64]:
        end = begin + self.row_tokens
        first = int(np.searchsorted(self._starts, begin, side="right")) - 1
        last = int(np.searchsorted(self._starts, end, side="left"))
        starts = self._starts[first:last]
        offsets = np.maximum(begin - starts, 0)
        ends = np.minimum(np.append(self._starts[first + 1 : last], end), end)
        return np.stack([self._documents[first:last], offsets, ends - np.maximum(starts, begin)], axis=1)


class PackedRows:
    """Whole items (ids and a loss mask each) packed into rows; an item is one segment."""

    def __init__(
        self, items: Sequence[tuple[Sequence[int], Sequence[bool]]], numbers: Sequence[int], row_tokens: int, pad: int
    ) -> None:
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

    def _fill(self, row: int, members: list[tuple[tuple[Sequence[int], Sequence[bool]], int]]) -> None:
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

    def take(self, rows: NDArray[np.int64]) -> RowBlock:
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

    def take(self, rows: NDArray[np.int64]) -> RowBlock:
        changes = np.flatnonzero(np.diff(rows < len(self._first))) + 1
        blocks = [self._take_run(run) for run in np.split(rows, changes)]
        tokens, targets, segments, spans = (
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("tokens", "targets", "segments", "spans")
        )
        return RowBlock(tokens, targets, segments, spans)

    def _take_run(self, rows: NDArray[np.int64]) -> RowBlock:
        """Rows that all stand in one of the two."""
        if rows[0] < len(self._first):
            return self._first.take(rows)
        return self._second.take(self._extra[rows - len(self._first)])
