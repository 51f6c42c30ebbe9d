"""What base and SFT read alike: the documents of both sides as tokens, from memory or from shards.

    open_text_inputs -> MemoryText     every document encoded here, in RAM
                     -> ShardedText    the run's shards, by memory map

The held-out set is the same in both: whole documents in the order of the corpus, up to a fixed number of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import refuse
from picochat.data.guessed import GuessedCorpus
from picochat.data.memory import TokenDocuments, encode_documents, join_documents
from picochat.data.mixture import resolve_weights
from picochat.data.rows import RowSource, WindowRows
from picochat.data.shards.manifest import Exposure, ShardsBody
from picochat.data.shards.reading import ShardSet
from picochat.data.split import Side
from picochat.data.stream import DocumentStream
from picochat.evals.ngram import ngram_baselines
from picochat.inference.scoring import ValidationSet
from picochat.stages.text_files import TextFiles, open_text_files
from picochat.stages.text_source import TextSource
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.config import LoopConfig

MAX_VALIDATION_TOKENS = 10_000_000
MAX_BASELINE_TOKENS = 20_000_000
PROMPT_TOKENS = 17
Tokens = NDArray[np.integer]


class TextInputs(Protocol):
    """Tokens of both sides, wherever they lie."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def baselines(self) -> dict[str, Any]:
        """N-gram tables of the same held-out documents, by name."""
        ...

    @property
    def digests(self) -> dict[str, str]:
        """Of everything that the tokens depend on."""
        ...

    @property
    def documents(self) -> Literal["recorded", "guessed"]: ...

    @property
    def exposure(self) -> Sequence[Exposure]:
        """How often an epoch shows each source."""
        ...

    def rows(self, row_tokens: int, seed: int) -> RowSource:
        """Training rows over the train side."""
        ...

    def iter_val(self) -> Iterator[Tokens]:
        """The held-out documents as `<bos> text <eos>`, in the order of the corpus."""
        ...


def unique_tokens(text: TextInputs) -> int:
    """Tokens of different documents of the train side."""
    return sum(source.unique_tokens for source in text.exposure)


def build_validation(text: TextInputs, loop: LoopConfig) -> ValidationSet:
    """The fixed held-out set: whole documents in windows of the training length."""
    return ValidationSet(
        take_documents(text.iter_val(), MAX_VALIDATION_TOKENS),
        row_tokens=loop.seq_len,
        pad=text.tokenizer.pad,
        token_bytes=text.tokenizer.token_bytes,
    )


def build_prompts(text: TextInputs) -> list[tuple[str, list[int]]]:
    """Beginnings of the first held-out documents, for samples."""
    openings = [ids[:PROMPT_TOKENS].tolist() for ids in islice(text.iter_val(), 3)]
    return [(text.tokenizer.decode(ids, skip_special=True), ids) for ids in openings]


def take_documents(documents: Iterable[Tokens], max_tokens: int) -> list[Tokens]:
    """The first documents that hold at most `max_tokens` together, and one in any case."""
    taken: list[Tokens] = []
    total = 0
    for ids in documents:
        total += len(ids)
        if taken and total > max_tokens:
            break
        taken.append(ids)
    return taken


@dataclass(frozen=True)
class MemoryText:
    """Documents that were encoded here."""

    tokenizer: Tokenizer
    baselines: dict[str, Any]
    train: TokenDocuments
    """The stream of an epoch, copies included."""
    val: TokenDocuments
    digests: dict[str, str]
    documents: Literal["recorded", "guessed"]
    exposure: Sequence[Exposure]

    def rows(self, row_tokens: int, seed: int) -> RowSource:
        return WindowRows(self.train, row_tokens)

    def iter_val(self) -> Iterator[Tokens]:
        return (self.val.document(i) for i in range(len(self.val)))


@dataclass(frozen=True)
class ShardedText:
    """Documents that the shards stage has written."""

    tokenizer: Tokenizer
    baselines: dict[str, Any]
    shards: ShardSet
    digests: dict[str, str]
    documents: Literal["recorded", "guessed"] = "recorded"

    @property
    def exposure(self) -> Sequence[Exposure]:
        return self.shards.body.exposure

    def rows(self, row_tokens: int, seed: int) -> RowSource:
        return self.shards.rows(row_tokens, seed)

    def iter_val(self) -> Iterator[Tokens]:
        return self.shards.val_documents()


def open_text_inputs(store: RunStore, record: StageRecord, source: TextSource, *, shards: bool) -> TextInputs:
    """Hashes corpus, tokenizer and shards, adds them to the inputs of `record`, and opens or encodes the documents.

    Raises `artifact.*` when a file is missing or is not the recorded one.
    """
    files = open_text_files(store, record, source)
    if shards:
        return _open_shards(store, record, files)
    tok = files.open_tokenizer()
    return _guess(files, tok) if files.documents is None else _encode(files, tok)


def _open_shards(store: RunStore, record: StageRecord, files: TextFiles) -> ShardedText:
    document = store.require_outputs(layout.SHARDS_MANIFEST, "shards_manifest")
    body = read_shards_body(document)
    for name, kind in (("corpus", "corpus"), ("documents", "corpus_documents"), ("tokenizer", "tokenizer")):
        if getattr(body, f"{name}_sha256") != files.digests[kind]:
            refuse("artifact.changed", f"{layout.SHARDS_MANIFEST} was written from another {kind} than there is now")
    manifest = record.add_input("shards_manifest", layout.SHARDS_MANIFEST)
    for ref in document["manifest"]["outputs"]:
        record.add_input("shard", ref["path"])
    tok, shards = files.open_tokenizer(), ShardSet(store.path(layout.SHARDS), body)
    baselines = files.baselines or _measure(shards_documents(shards), shards.val_documents(), tok)
    return ShardedText(tok, baselines, shards, files.digests | {"shards_manifest": manifest.sha256})


def read_shards_body(document: dict[str, Any]) -> ShardsBody:
    """The body of a shards manifest. Raises `artifact.schema`."""
    fields = {key: document[key] for key in ShardsBody.model_fields if key in document}
    return ShardsBody.from_json(fields, layout.SHARDS_MANIFEST)


def shards_documents(shards: ShardSet) -> Iterator[Tokens]:
    """The pieces of the train side, as they lie in the shards."""
    return (shard.piece_tokens(piece) for shard in shards.train for piece in range(len(shard.starts)))


def _encode(files: TextFiles, tok: Tokenizer) -> MemoryText:
    """The stream of an epoch and the held-out side of a recorded corpus."""
    reader = files.open_corpus()
    shares = files.shares_of(reader)
    weights = resolve_weights(reader, shares, lambda text: len(tok.encode_array(text)))

    def encode(side: Side) -> TokenDocuments:
        stream = DocumentStream(reader, side, weights)
        numbers = [number for part in stream.parts(1 << 62) for number in stream.iter_documents(part)]
        return encode_documents(reader, numbers, tok.encode_batch, tok.bos, tok.eos)

    train, val = encode("train"), encode("val")
    baselines = files.baselines or _measure(train.iter_documents(), val.iter_documents(), tok)
    exposure = []
    lengths, sources = train.lengths(), reader.documents["source"][train.documents]
    _, firsts = np.unique(train.documents, return_index=True)
    for number, share in enumerate(shares):
        mine = np.flatnonzero(sources == number)
        unique = np.intersect1d(mine, firsts, assume_unique=True)
        exposure.append(
            Exposure(
                source=share.source,
                weight=weights[number],
                documents=len(unique),
                unique_tokens=int(lengths[unique].sum()),
                epoch_tokens=int(lengths[mine].sum()),
                budget_tokens=share.token_budget,
            )
        )
    return MemoryText(tok, baselines, train, val, files.digests, "recorded", exposure)


def _guess(files: TextFiles, tok: Tokenizer) -> MemoryText:
    """A bare text: its documents and their sides are guessed, and the report says so."""
    guessed = GuessedCorpus(files.corpus)

    def encode(side: Side) -> TokenDocuments:
        numbers = guessed.numbers(side)
        texts = [guessed.texts[number] for number in numbers]
        return join_documents(tok.encode_batch(texts), np.array(numbers, np.int64), tok.bos, tok.eos)

    train, val = encode("train"), encode("val")
    count = len(train.tokens)
    exposure = Exposure(
        source=files.corpus.name, weight=1.0, documents=len(train), unique_tokens=count, epoch_tokens=count
    )
    baselines = _measure(train.iter_documents(), val.iter_documents(), tok)
    return MemoryText(tok, baselines, train, val, files.digests, "guessed", [exposure])


def _measure(train: Iterable[Tokens], val: Iterable[Tokens], tok: Tokenizer) -> dict[str, Any]:
    """The n-gram baselines of the same documents, as the tokenizer stage reports them for a run's own."""
    counted = tok.token_bytes > 0
    train_documents, val_documents = (take_documents(side, MAX_BASELINE_TOKENS) for side in (train, val))
    val_bytes = sum(int(tok.token_bytes[ids].sum()) for ids in val_documents)
    return ngram_baselines(train_documents, val_documents, tok.vocab_size, val_bytes, counted=counted)
