"""The tokenizer stage: corpus in, `tokenizer.json` and its report out. Merges are learned on the train side only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from picochat.artifacts import layout
from picochat.data.corpus import CorpusReader
from picochat.data.sampling import Sample, draw_sample
from picochat.data.split import Side
from picochat.stages.contract import StageContext
from picochat.stages.tokenizer.measure import (
    LabelledText,
    count_tokens,
    describe_sides,
    describe_vocabulary,
    measure_baselines,
)
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import FastPathProof, Tokenizer

STAGE = "tokenizer"
PROOF_BYTES = 1_000_000
SAMPLED: tuple[Side, ...] = ("train", "val")


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
    lengths = reader.documents["length"]

    sample = draw_sample(reader, "train", config.sample_bytes)
    data = train_bpe((reader.text(int(index)) for index in sample.documents), config)
    store.write_evidence(layout.TOKENIZER, data)
    record.add_output("tokenizer", layout.TOKENIZER)
    tok = Tokenizer(data, layout.TOKENIZER)

    proof = _prove(ctx, tok, (reader.text(int(index)) for index in sample.first(lengths, PROOF_BYTES)))
    measured: dict[Side, Sample] = {side: draw_sample(reader, side, config.measure_bytes) for side in SAMPLED}
    documents = _iter_labelled(ctx, reader, measured, [source["id"] for source in corpus["sources"]])
    counts = count_tokens(documents, tok, config.baseline_max_tokens)
    body: dict[str, Any] = {
        "vocab_size": tok.vocab_size,
        "special_tokens": tok.specials,
        "train_sample": {"documents": len(sample.documents), "limited": sample.limited},
        "fast_path": proof._asdict(),
        **describe_vocabulary(counts, tok),
        **(sides := describe_sides(counts, measured)),
        **measure_baselines(counts, tok, sides["measured"]["limited"]),
    }
    manifest = record.manifest(ctx.clock.monotonic(), tokenizers=version("tokenizers"), tiktoken=version("tiktoken"))
    store.write_report(layout.TOKENIZER_REPORT, "tokenizer_report", body, manifest)


def _prove(ctx: StageContext, tok: Tokenizer, corpus_texts: Iterator[str]) -> FastPathProof:
    """Both encoders on hostile strings and on real text; a difference is said and recorded, never hidden."""
    proof = tok.prove_fast_path(corpus_texts)
    if not proof.equal:
        text = f"the fast encoder differs on {proof.difference!r}: text is encoded by the slower library"
        ctx.events.emit("warning", STAGE, code="tokenizer.fast_path", text=text)
        ctx.progress.say(text)
    return proof


def _iter_labelled(
    ctx: StageContext, reader: CorpusReader, measured: Mapping[Side, Sample], sources: list[str]
) -> Iterator[LabelledText]:
    total = sum(len(sample.documents) for sample in measured.values())
    done = 0
    for side, sample in measured.items():
        for index in sample.documents.tolist():
            source = sources[int(reader.documents["source"][index])]
            yield LabelledText(reader.text(index), source, side == "train")
            done += 1
            ctx.progress.update(done, total, "encoding documents")
