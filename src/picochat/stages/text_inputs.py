"""What base and SFT read alike: corpus and tokenizer, hashed again before use, as tokens in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.data.corpus import CorpusReader
from picochat.data.memory import TokenDocuments, encode_corpus
from picochat.data.rows import WindowRows
from picochat.inference.scoring import ValidationSet
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.config import LoopConfig

MAX_VALIDATION_TOKENS = 10_000_000


@dataclass(frozen=True)
class TextInputs:
    """The documents of both sides as tokens, the tokenizer, and what its report says."""

    tokenizer: Tokenizer
    tokenizer_report: dict[str, Any]
    train: TokenDocuments
    val: TokenDocuments
    digests: dict[str, str]

    def windows(self, row_tokens: int) -> WindowRows:
        """Training rows over the stream of train documents."""
        return WindowRows(self.train.tokens, self.train.starts, self.train.documents, row_tokens)

    def validation(self, loop: LoopConfig) -> ValidationSet:
        """The fixed held-out set: whole documents in windows of the training length."""
        documents = [self.val.document(i).tolist() for i in range(len(self.val))]
        return ValidationSet(
            documents,
            row_tokens=loop.seq_len,
            pad=self.tokenizer.pad,
            token_bytes=self.tokenizer.token_bytes,
            max_tokens=MAX_VALIDATION_TOKENS,
        )

    def prompts(self) -> list[tuple[str, list[int]]]:
        """Beginnings of the first held-out documents, for samples."""
        openings = [self.val.document(i)[:17].tolist() for i in range(min(3, len(self.val)))]
        return [(self.tokenizer.decode(ids, skip_special=True), ids) for ids in openings]


def open_text_inputs(store: RunStore, record: StageRecord) -> TextInputs:
    """Re-hashes corpus and tokenizer, adds them to the inputs of `record`, and encodes the documents.

    Raises `artifact.*` when a file is missing or is not the recorded one.
    """
    store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    report = store.require_outputs(layout.TOKENIZER_REPORT, "tokenizer_report")
    kinds = {
        "corpus": layout.CORPUS,
        "corpus_documents": layout.CORPUS_DOCUMENTS,
        "corpus_manifest": layout.CORPUS_MANIFEST,
        "tokenizer": layout.TOKENIZER,
        "tokenizer_report": layout.TOKENIZER_REPORT,
    }
    refs = {kind: record.add_input(kind, path) for kind, path in kinds.items()}
    tokenizer = Tokenizer.load(store.path(layout.TOKENIZER), fast=report["fast_path"]["equal"])
    train, val = encode_sides(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS), tokenizer)
    digests = {kind: refs[kind].sha256 for kind in ("corpus", "corpus_documents", "tokenizer")}
    return TextInputs(tokenizer, report, train, val, digests)


def encode_sides(corpus: Path, documents: Path, tokenizer: Tokenizer) -> tuple[TokenDocuments, TokenDocuments]:
    """Train and held-out documents as token streams."""
    reader = CorpusReader(corpus, documents)
    train, val = (
        encode_corpus(reader, tokenizer.encode_batch, tokenizer.bos, tokenizer.eos, side) for side in ("train", "val")
    )
    return train, val
