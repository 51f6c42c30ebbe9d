"""Proof that a training draws the same from shards as from memory: rows of both layouts, token for token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core.fs import make_dir
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.memory import TokenDocuments
from picochat.data.rows import RowBlock, RowSource, WindowRows
from picochat.data.shards.checking import check_shard
from picochat.data.shards.layout import ShardRecord, dtype_of
from picochat.data.shards.manifest import ShardsBody
from picochat.data.shards.reading import ShardSet
from picochat.data.shards.writing import ShardJob, ShardPlan, ShardWriter
from picochat.data.split import TRAIN
from picochat.data.stream import DocumentStream
from picochat.stages.sanity.building import Workplace
from picochat.stages.sanity.verdicts import judge
from picochat.tokenizer.tokenizer import Tokenizer

SHARDS = 3
"""About so many shards are written, so that rows reach over their borders."""
ROWS_COMPARED = 512
Rows = NDArray[np.int64]


def prove_shards(place: Workplace) -> CheckResult:
    """Writes the documents as shards of both layouts, and counts the rows and documents that come back different."""
    material, row_tokens = place.material, place.material.config.loop.seq_len
    folder = place.folder / "shards"
    make_dir(folder)
    reader = write_corpus(folder, material.documents, material.tokenizer)
    faults = compared = 0
    for row_length in (None, row_tokens):
        shards = write_shards(folder, reader, material.tokenizer, row_length)
        rows = shards.rows(row_tokens, material.config.seed)
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(ROWS_COMPARED, len(rows))).astype(np.int64))
        if row_length is None:
            faults += count_other_rows(rows, WindowRows(material.documents, row_tokens), chosen)
        else:
            faults += count_wrong_pieces(rows, material.documents, chosen)
        faults += sum(check_shard(shard, reader, material.tokenizer).total for shard in shards.train)
        compared += len(chosen) + len(reader)
    return judge("sanity.shards", faults, 0, compared)


def write_corpus(folder: Path, documents: TokenDocuments, tok: Tokenizer) -> CorpusReader:
    """The documents as text, in their order."""
    paths = folder / layout.CORPUS, folder / layout.CORPUS_DOCUMENTS
    with corpus_writer(*paths) as corpus:
        for number, ids in enumerate(documents.iter_documents()):
            corpus.add(
                Document(text=tok.decode(ids.tolist(), skip_special=True), source=0, split=TRAIN, cluster=number)
            )
    return CorpusReader(*paths)


def write_shards(folder: Path, reader: CorpusReader, tok: Tokenizer, row_tokens: int | None) -> ShardSet:
    """The train side as one stream, or as packed rows of `row_tokens`."""
    plan = ShardPlan(
        corpus=folder / layout.CORPUS,
        documents=folder / layout.CORPUS_DOCUMENTS,
        tokenizer=folder / layout.TOKENIZER,
        fast=True,
        sources=("documents",),
        weights=(1.0,),
        dtype=dtype_of(tok.vocab_size),
        row_tokens=row_tokens,
    )
    size = int(reader.documents["length"].sum()) // SHARDS + 1
    records = []
    for part in DocumentStream(reader, "train", plan.weights).parts(size):
        job = ShardJob("train", part, folder / f"{'stream' if row_tokens is None else 'rows'}-{part.number}.bin")
        records.append(ShardWriter(plan, reader, tok, job).write())
    return ShardSet(folder, build_body(plan, tok, records))


def build_body(plan: ShardPlan, tok: Tokenizer, records: Sequence[ShardRecord]) -> ShardsBody:
    return ShardsBody(
        dtype=plan.dtype,
        layout="stream" if plan.row_tokens is None else "rows",
        row_tokens=plan.row_tokens,
        packing=None if plan.row_tokens is None else plan.packing,
        boundary_tokens=True,
        bos_id=tok.bos,
        eos_id=tok.eos,
        pad_id=tok.pad,
        vocab_size=tok.vocab_size,
        tokenizer_sha256=tok.sha256,
        corpus_sha256="",
        documents_sha256="",
        train=tuple(records),
        val=(),
        exposure=(),
    )


def count_other_rows(rows: RowSource, expected: RowSource, chosen: Rows) -> int:
    """Rows of which tokens, targets, segments or places are not the same."""
    return sum(_differs(rows.take(chosen[n : n + 1]), expected.take(chosen[n : n + 1])) for n in range(len(chosen)))


def _differs(a: RowBlock, b: RowBlock) -> bool:
    names = ("tokens", "targets", "segments")
    same_places = a.spans[:, 1:].tolist() == b.spans[:, 1:].tolist()
    return not same_places or any(not np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def count_wrong_pieces(rows: RowSource, documents: TokenDocuments, chosen: Rows) -> int:
    """Pieces of packed rows that are not what their document holds there, or whose positions do not begin at 0."""
    wrong = 0
    for n in range(len(chosen)):
        block, at = rows.take(chosen[n : n + 1]), 0
        for number, offset, length in block.spans.tolist():
            inside = slice(at, at + length)
            same = np.array_equal(block.tokens[0, inside], documents.document(number)[offset : offset + length])
            begun = block.positions is None or np.array_equal(block.positions[0, inside], np.arange(length))
            wrong += not (same and begun)
            at += length
    return wrong
