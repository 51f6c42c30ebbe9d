"""The tokenizer stage: corpus in, `tokenizer.json` and its report out. Merges are learned on the train side only."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from picochat.artifacts import layout
from picochat.data.corpus import CorpusReader
from picochat.data.split import TRAIN
from picochat.stages.contract import StageContext
from picochat.stages.tokenizer.measure import LabelledText, count_tokens, describe_vocabulary, measure_baselines
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import FastPathProof, Tokenizer

STAGE = "tokenizer"
PROOF_BYTES = 1_000_000


def run(ctx: StageContext, config: TokenizerConfig) -> None:
    """Trains, proves the fast encoder, measures, writes. Raises `tokenizer.vocab`, `artifact.*` on a changed corpus."""
    store, record = ctx.store, ctx.record(STAGE, config)
    corpus = store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    for kind, path in (
        ("corpus", layout.CORPUS),
        ("documents", layout.CORPUS_DOCUMENTS),
        ("manifest", layout.CORPUS_MANIFEST),
    ):
        record.add_input(kind, path)
    reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    order = hash_order(reader)
    train = [index for index in order if is_train(reader, index)]

    sample = first_within(reader, train, config.sample_bytes)
    data = train_bpe((reader.text(index) for index in sample), config)
    store.write_evidence(layout.TOKENIZER, data)
    record.add_output("tokenizer", layout.TOKENIZER)
    tok = Tokenizer(data, layout.TOKENIZER)

    proof = _prove(ctx, tok, (reader.text(index) for index in first_within(reader, train, PROOF_BYTES)))
    documents = _iter_labelled(ctx, reader, order, [source["id"] for source in corpus["sources"]])
    counts = count_tokens(documents, tok, config.baseline_max_tokens)
    body: dict[str, Any] = {
        "vocab_size": tok.vocab_size,
        "special_tokens": tok.specials,
        "train_sample": {"documents": len(sample), "limited": len(sample) < len(train)},
        "fast_path": proof._asdict(),
        **describe_vocabulary(counts, tok),
        **measure_baselines(counts, tok),
    }
    manifest = record.manifest(ctx.clock.monotonic(), tokenizers=version("tokenizers"), tiktoken=version("tiktoken"))
    store.write_report(layout.TOKENIZER_REPORT, "tokenizer_report", body, manifest)


def hash_order(reader: CorpusReader) -> list[int]:
    """Document indices by digest of their text: an order in which any beginning is an even sample of all sources."""
    digests = [bytes(digest) for digest in reader.documents["sha256"]]
    return sorted(range(len(digests)), key=digests.__getitem__)


def is_train(reader: CorpusReader, index: int) -> bool:
    return int(reader.documents["split"][index]) == TRAIN


def first_within(reader: CorpusReader, indices: list[int], limit_bytes: int) -> list[int]:
    """The longest beginning of `indices` whose texts fit into `limit_bytes`, and one document in any case."""
    totals = accumulate(int(reader.documents["length"][index]) for index in indices)
    fitting = sum(1 for total in totals if total <= limit_bytes)
    return indices[: max(1, fitting)]


def _prove(ctx: StageContext, tok: Tokenizer, corpus_texts: Iterator[str]) -> FastPathProof:
    """Both encoders on hostile strings and on real text; a difference is said and recorded, never hidden."""
    proof = tok.prove_fast_path(corpus_texts)
    if not proof.equal:
        text = f"the fast encoder differs on {proof.difference!r}: text is encoded by the slower library"
        ctx.events.emit("warning", STAGE, code="tokenizer.fast_path", text=text)
        ctx.progress.say(text)
    return proof


def _iter_labelled(
    ctx: StageContext, reader: CorpusReader, order: list[int], sources: list[str]
) -> Iterator[LabelledText]:
    for done, index in enumerate(order, 1):
        source = sources[int(reader.documents["source"][index])]
        yield LabelledText(reader.text(index), source, is_train(reader, index))
        ctx.progress.update(done, len(order), "encoding documents")
