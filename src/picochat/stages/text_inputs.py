"""What base and SFT read alike: corpus and tokenizer, hashed again before use, as tokens in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.data.corpus import CorpusReader
from picochat.data.guessed import GuessedCorpus
from picochat.data.memory import TokenDocuments, encode_corpus, join_documents
from picochat.data.rows import WindowRows
from picochat.data.split import Side
from picochat.evals.ngram import ngram_baselines
from picochat.inference.scoring import ValidationSet
from picochat.stages.text_source import TextSource
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.config import LoopConfig

MAX_VALIDATION_TOKENS = 10_000_000


@dataclass(frozen=True)
class TextInputs:
    """The documents of both sides as tokens, and the tokenizer."""

    tokenizer: Tokenizer
    baselines: dict[str, Any]
    """N-gram tables of the same held-out documents, by name."""
    train: TokenDocuments
    val: TokenDocuments
    digests: dict[str, str]
    documents: Literal["recorded", "guessed"]

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


def open_text_inputs(store: RunStore, record: StageRecord, source: TextSource) -> TextInputs:
    """Hashes corpus and tokenizer, adds them to the inputs of `record`, and encodes the documents.

    Raises `artifact.*` when a file is missing or is not the recorded one.
    """
    if source.corpus is None or source.tokenizer is None:
        return _open_own(store, record)
    return _open_external(record, Path(source.corpus), Path(source.tokenizer))


def _open_own(store: RunStore, record: StageRecord) -> TextInputs:
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
    tok = Tokenizer.load(store.path(layout.TOKENIZER), fast=report["fast_path"]["equal"])
    train, val = _encode_recorded(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS), tok)
    digests = {kind: refs[kind].sha256 for kind in ("corpus", "corpus_documents", "tokenizer")}
    return TextInputs(tok, report["baselines"], train, val, digests, "recorded")


def _open_external(record: StageRecord, corpus: Path, tokenizer: Path) -> TextInputs:
    """Files of another run or of nobody: referenced by path and digest, never copied."""
    tok = Tokenizer.load(tokenizer)
    refs = {"corpus": record.add_input("corpus", corpus), "tokenizer": record.add_input("tokenizer", tokenizer)}
    records = corpus.with_name(layout.CORPUS_DOCUMENTS)
    if records.is_file():
        refs["corpus_documents"] = record.add_input("corpus_documents", records)
        train, val = _encode_recorded(corpus, records, tok)
    else:
        train, val = _encode_guessed(GuessedCorpus(corpus), tok)
    digests = {kind: ref.sha256 for kind, ref in refs.items()}
    found = "recorded" if records.is_file() else "guessed"
    return TextInputs(tok, _measure_baselines(train, val, tok), train, val, digests, found)


def _encode_recorded(corpus: Path, documents: Path, tok: Tokenizer) -> tuple[TokenDocuments, TokenDocuments]:
    reader = CorpusReader(corpus, documents)
    train, val = (encode_corpus(reader, tok.encode_batch, tok.bos, tok.eos, side) for side in ("train", "val"))
    return train, val


def _encode_guessed(guessed: GuessedCorpus, tok: Tokenizer) -> tuple[TokenDocuments, TokenDocuments]:
    def encode(side: Side) -> TokenDocuments:
        numbers = guessed.numbers(side)
        texts = [guessed.texts[number] for number in numbers]
        return join_documents(tok.encode_batch(texts), np.array(numbers, np.int64), tok.bos, tok.eos)

    return encode("train"), encode("val")


def _measure_baselines(train: TokenDocuments, val: TokenDocuments, tok: Tokenizer) -> dict[str, Any]:
    """The n-gram baselines of the same documents, as the tokenizer stage reports them for a run's own."""
    train_documents, val_documents = ([side.document(i) for i in range(len(side))] for side in (train, val))
    val_bytes = int(tok.token_bytes[val.tokens].sum())
    counted = tok.token_bytes > 0
    return ngram_baselines(train_documents, val_documents, tok.vocab_size, val_bytes, counted=counted)
