"""A shard on disk: tokens first, so that a memory map at byte 0 is the tokens; then 24 bytes for each piece.

    tokens      n_tokens of uint16 or uint32, little endian
    padding     zeros up to a multiple of 8 bytes
    starts      n_pieces of u64: the place of each piece's first token
    documents   n_pieces of u64: its document's number in the corpus
    offsets     n_pieces of u64: the piece's first token inside `<bos> text <eos>` of that document

A piece is a document, or what a row of a packed shard holds of one. The three columns lie one after another, each one a
memory map that can be searched. The counts stand in the manifest: a file whose size is another one is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from picochat.artifacts.schema import Record
from picochat.core.errors import refuse
from picochat.data.rows import Pieces
from picochat.data.split import Side

DTYPES = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
DtypeName = Literal["uint16", "uint32"]
PIECE_BYTES = 24
ALIGNMENT = 8
UINT16_IDS = 65_536


class ShardRecord(Record):
    """One shard as its manifest describes it. Counts of boundary tokens are counted in the written tokens."""

    name: str
    side: Side
    copy_number: int
    """Which pass over the corpus: documents of weight 2 stand in the shards of passes 0 and 1."""
    bytes: int
    sha256: str
    tokens: int
    pieces: int
    documents: int
    """Pieces that begin their document: copies count again."""
    bos: int
    eos: int
    rows: int | None = None
    """Rows of a packed shard; None for a stream."""
    text_bytes: int
    """Bytes of text that the tokens spell."""
    cropped_tokens: int = 0
    """Tokens of documents that no row had a place for."""
    padding_tokens: int = 0
    by_source: dict[str, int] = {}
    """Tokens a source, boundary tokens included."""


def dtype_of(vocab_size: int) -> DtypeName:
    """The narrowest type that holds every id."""
    return "uint16" if vocab_size <= UINT16_IDS else "uint32"


def padding_after(n_tokens: int, dtype: DtypeName) -> int:
    """Zero bytes between tokens and columns."""
    return -n_tokens * DTYPES[dtype].itemsize % ALIGNMENT


def shard_bytes(n_tokens: int, n_pieces: int, dtype: DtypeName) -> int:
    """The size of a whole shard."""
    return n_tokens * DTYPES[dtype].itemsize + padding_after(n_tokens, dtype) + n_pieces * PIECE_BYTES


class ShardFile:
    """One shard, opened by memory map. Raises `artifact.missing` or `shards.layout`."""

    def __init__(self, path: Path, record: ShardRecord, dtype: DtypeName, pad_id: int) -> None:
        expected = shard_bytes(record.tokens, record.pieces, dtype)
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            refuse("artifact.missing", f"{path} does not exist")
        if found != expected:
            refuse("shards.layout", f"{path} has {found:,} bytes, its manifest describes {expected:,}")
        self.path, self.record, self.pad_id = path, record, pad_id
        self.tokens: NDArray[np.integer] = _map(path, DTYPES[dtype], 0, record.tokens)
        begin = expected - record.pieces * PIECE_BYTES
        columns = [_map(path, np.dtype("<i8"), begin + i * record.pieces * 8, record.pieces) for i in range(3)]
        self.starts, self.documents, self.offsets = columns

    def pieces(self, begin: int, end: int) -> Pieces:
        """The pieces that overlap the places `begin` to `end` of this shard."""
        first = max(0, int(np.searchsorted(self.starts, begin, side="right")) - 1)
        last = int(np.searchsorted(self.starts, end, side="left"))
        columns = (self.starts, self.documents, self.offsets)
        return Pieces(*(np.array(column[first:last]) for column in columns))

    def piece_tokens(self, piece: int) -> NDArray[np.integer]:
        """The tokens of one piece, without the padding that may follow it."""
        end = self.starts[piece + 1] if piece + 1 < len(self.starts) else len(self.tokens)
        found = self.tokens[self.starts[piece] : end]
        padded = self.record.padding_tokens and len(found) and found[-1] == self.pad_id
        return found[: len(found) - int(np.argmax(found[::-1] != self.pad_id))] if padded else found


def _map(path: Path, dtype: np.dtype[Any], offset: int, count: int) -> NDArray[Any]:
    """A read-only map; nothing can be mapped of an empty stretch."""
    if count == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset, (count,)).view(np.ndarray)  # a plain view slices quicker
