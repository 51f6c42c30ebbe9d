"""Shards as training reads them: windows over one stream, or rows that were packed when they were written.

Everything is a memory map: what a rank does not draw is never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picochat.data.rows import IGNORE, Pieces, RowBlock, RowSource, WindowRows
from picochat.data.shards.layout import ShardFile
from picochat.data.shards.manifest import ShardsBody


class ShardStream:
    """The documents of several shards as one stream of tokens."""

    def __init__(self, shards: Sequence[ShardFile]) -> None:
        self._shards = [shard for shard in shards if len(shard.tokens)]
        self._begins = np.cumsum([0, *(len(shard.tokens) for shard in self._shards)])

    @property
    def n_tokens(self) -> int:
        return int(self._begins[-1])

    def read(self, begin: int, end: int) -> NDArray[np.integer]:
        """The tokens of places `begin` to `end`; a window may reach into the next shard."""
        parts = [shard.tokens[first:last] for shard, _, first, last in self._overlapping(begin, end)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def pieces(self, begin: int, end: int) -> Pieces:
        """The documents that overlap the places `begin` to `end`."""
        found = []
        for shard, base, first, last in self._overlapping(begin, end):
            pieces = shard.pieces(first, last)
            found.append(pieces._replace(starts=pieces.starts + base))
        return Pieces(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _overlapping(self, begin: int, end: int) -> Iterator[tuple[ShardFile, int, int, int]]:
        """(shard, place of its first token, first, last) of every shard that holds a part of a stretch."""
        number = int(np.searchsorted(self._begins, begin, side="right")) - 1
        while number < len(self._shards) and (base := int(self._begins[number])) < end:
            shard = self._shards[number]
            yield shard, base, max(0, begin - base), min(len(shard.tokens), end - base)
            number += 1


class PackedShardRows:
    """Rows of T+1 tokens as they were written. A document is one segment whose positions begin at 0.

    The first token of a document is nobody's target, and neither is padding: what follows a document in its row has
    nothing to do with it.
    """

    def __init__(self, shards: Sequence[ShardFile], row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self._shards = list(shards)
        self._begins = np.cumsum([0, *(shard.record.rows or 0 for shard in shards)])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock:
        shape = (len(rows), self.row_tokens)
        tokens, targets = np.empty(shape, np.int64), np.empty(shape, np.int64)
        segments, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        spans = []
        for place, row in enumerate(rows.tolist()):
            number = int(np.searchsorted(self._begins, row, side="right")) - 1
            shard, first = self._shards[number], (row - int(self._begins[number])) * (self.row_tokens + 1)
            line = shard.tokens[first : first + self.row_tokens + 1].astype(np.int64)
            found, row_segments, row_positions = self._layout_of(shard, first)
            tokens[place] = line[:-1]
            targets[place] = np.where(row_segments[1:] == row_segments[:-1], line[1:], IGNORE)
            targets[place][row_segments[1:] == 0] = IGNORE
            segments[place], positions[place] = row_segments[:-1], row_positions[:-1]
            spans.append(found)
        return RowBlock(tokens, targets, segments, np.concatenate(spans), positions)

    def _layout_of(
        self, shard: ShardFile, first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Spans of a row, and for each of its T+1 tokens its segment (0 is padding) and its position."""
        pieces = shard.pieces(first, first + self.row_tokens + 1)
        starts = pieces.starts - first
        filled = self.row_tokens + 1
        if shard.record.padding_tokens:
            line = shard.tokens[first : first + filled]
            filled -= int(np.argmax(line[::-1] != shard.pad_id))
        lengths = np.diff(np.append(starts, filled))
        segments, positions = np.zeros(self.row_tokens + 1, np.int64), np.zeros(self.row_tokens + 1, np.int64)
        segments[:filled] = np.repeat(np.arange(1, len(starts) + 1), lengths)
        positions[:filled] = np.arange(filled) - np.repeat(starts, lengths)
        seen = np.diff(np.append(starts, filled).clip(max=self.row_tokens))  # the last token is a target alone
        spans = np.stack([pieces.documents, pieces.offsets, seen], axis=1)
        return spans[spans[:, 2] > 0], segments, positions


class ShardSet:
    """The shards of a manifest. Raises `artifact.missing` or `shards.layout`."""

    def __init__(self, folder: Path, body: ShardsBody) -> None:
        self.body = body
        self.train = [ShardFile(folder / record.name, record, body.dtype, body.pad_id) for record in body.train]
        self.val = [ShardFile(folder / record.name, record, body.dtype, body.pad_id) for record in body.val]

    def rows(self, row_tokens: int, seed: int) -> RowSource:
        """Training rows of the train side: windows whose grid moves with the epoch, or the packed rows."""
        if self.body.layout == "rows":
            return PackedShardRows(self.train, row_tokens)
        return WindowRows(ShardStream(self.train), row_tokens, partial(epoch_shift, seed, row_tokens))

    def val_documents(self) -> Iterator[NDArray[np.integer]]:
        """The tokens of the held-out documents, in the order of the corpus."""
        for shard in self.val:
            for piece in range(len(shard.starts)):
                yield shard.piece_tokens(piece)


def epoch_shift(seed: int, row_tokens: int, epoch: int) -> int:
    """How far the grid of windows is moved in an epoch: 0 in the first one, then any of 0..T-1 by a hash."""
    if epoch == 0:
        return 0
    return int.from_bytes(hashlib.sha256(f"shift:{seed}:{epoch}".encode()).digest()[:8], "big") % row_tokens
