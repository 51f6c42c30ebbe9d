"""Writing one shard: documents of a part of the stream are encoded, packed or strung together, and published whole.

What is written follows from the plan and the part alone, so any process may write any shard at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.core.fs import HashingWriter, atomic_writer
from picochat.data.corpus import CorpusReader
from picochat.data.shards.layout import DTYPES, DtypeName, ShardRecord, padding_after
from picochat.data.shards.packing import PackedRow, Piece, pack_best_fit_crop, pack_no_crop
from picochat.data.split import Side
from picochat.data.stream import DocumentStream, StreamPart
from picochat.tokenizer.tokenizer import Tokenizer

BATCH_DOCUMENTS = 256
Packing = Literal["best_fit_crop", "no_crop"]


@dataclass(frozen=True)
class ShardPlan:
    """What all shards have in common: where the text is, how it is encoded, and how it is laid out."""

    corpus: Path
    documents: Path
    tokenizer: Path
    fast: bool
    """Whether the fast encoder was proven equal."""
    sources: tuple[str, ...]
    weights: tuple[float, ...]
    dtype: DtypeName
    boundary_tokens: bool = True
    row_tokens: int | None = None
    """T of a packed train side; None for a stream."""
    packing: Packing = "best_fit_crop"


class ShardJob(NamedTuple):
    """One shard to write. `sources` of the plan are known by number in the records."""

    side: Side
    part: StreamPart
    path: Path


def build_shard_writer(plan: ShardPlan) -> Callable[[ShardJob], ShardRecord]:
    """Opens corpus and tokenizer once, for as many shards as a process is handed."""
    reader = CorpusReader(plan.corpus, plan.documents)
    tok = Tokenizer.load(plan.tokenizer, fast=plan.fast)

    def write(job: ShardJob) -> ShardRecord:
        return ShardWriter(plan, reader, tok, job).write()

    return write


class ShardWriter:
    """Writes the shard of a job, tokens first, and counts what it writes."""

    def __init__(self, plan: ShardPlan, reader: CorpusReader, tok: Tokenizer, job: ShardJob) -> None:
        self._plan, self._reader, self._tok, self._job = plan, reader, tok, job
        self._dtype = DTYPES[plan.dtype]
        self._starts: list[int] = []
        self._documents: list[int] = []
        self._offsets: list[int] = []
        self._by_source: Counter[int] = Counter()
        self._tokens = self._bos = self._eos = self._text_bytes = self._padding = 0

    def write(self) -> ShardRecord:
        """Raises `disk.full`, `disk.io` or `corpus.layout`; then the file is not there, or is the old one."""
        plan, job = self._plan, self._job
        packed = plan.row_tokens is not None and job.side == "train"
        rows = cropped = 0
        with atomic_writer(job.path) as out:
            for row in self._rows() if packed else self._strung():
                self._add(out, row.pieces)
                cropped += row.cropped
                rows += 1
                if packed:
                    self._pad(out, (plan.row_tokens or 0) + 1 - row.length)
            out.write(bytes(padding_after(self._tokens, plan.dtype)))
            for column in (self._starts, self._documents, self._offsets):
                out.write(np.array(column, "<i8").tobytes())
        return ShardRecord(
            name=job.path.name,
            side=job.side,
            copy_number=job.part.copy,
            bytes=out.bytes,
            sha256=out.sha256,
            tokens=self._tokens,
            pieces=len(self._starts),
            documents=self._offsets.count(0),
            bos=self._bos,
            eos=self._eos,
            rows=rows if packed else None,
            text_bytes=self._text_bytes,
            cropped_tokens=cropped,
            padding_tokens=self._padding,
            by_source={plan.sources[source]: count for source, count in sorted(self._by_source.items())},
        )

    def _rows(self) -> Iterator[PackedRow]:
        pack = pack_best_fit_crop if self._plan.packing == "best_fit_crop" else pack_no_crop
        return pack(self._encoded(), (self._plan.row_tokens or 0) + 1)

    def _strung(self) -> Iterator[PackedRow]:
        """Batches of whole documents, so that few and large pieces are written."""
        documents = self._encoded()
        while batch := list(islice(documents, BATCH_DOCUMENTS)):
            yield PackedRow(batch, 0)

    def _encoded(self) -> Iterator[Piece]:
        stream = DocumentStream(self._reader, self._job.side, self._plan.weights)
        for number in stream.iter_documents(self._job.part):
            ids = self._tok.encode_array(self._reader.text(number))
            yield Piece(number, 0, self._bounded(ids).astype(self._dtype), number >= self._reader.n_found)

    def _bounded(self, ids: NDArray[np.uint32]) -> NDArray[np.integer]:
        if not self._plan.boundary_tokens:
            return ids
        return np.concatenate([[self._tok.bos], ids, [self._tok.eos]])

    def _add(self, out: HashingWriter, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._starts.append(self._tokens)
            self._documents.append(piece.document)
            self._offsets.append(piece.offset)
            self._tokens += len(piece.tokens)
            self._by_source[int(self._reader.documents["source"][piece.document])] += len(piece.tokens)
        written = np.concatenate([piece.tokens for piece in pieces])
        self._bos += int(np.count_nonzero(written == self._tok.bos))
        self._eos += int(np.count_nonzero(written == self._tok.eos))
        self._text_bytes += int(self._tok.token_bytes[written].sum())
        out.write(written.tobytes())

    def _pad(self, out: HashingWriter, missing: int) -> None:
        if missing:
            out.write(np.full(missing, self._tok.pad, self._dtype).tobytes())
            self._tokens += missing
            self._padding += missing
