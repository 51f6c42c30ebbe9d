"""The tokenizer stage on a made corpus: what it learns from, what it writes, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.events import EventWriter, iter_events
from picochat.data import sampling
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.sampling import draw_sample
from picochat.data.split import TRAIN, VAL
from picochat.evals.ngram import ngram_baselines
from picochat.stages.contract import StageContext
from picochat.stages.tokenizer import run as stage
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

STORIES = [f"Story {n}: the miller {n} said that the river ran past the old mill.\n" * 3 for n in range(12)]
MANUALS = [f"def tool_{n}(path):\n    return open(path).read()[{n}:]\n" * 2 for n in range(6)]
UNSEEN = "zyzzyva zyzzyva zyzzyva zyzzyva the old mill"
CONFIG = TokenizerConfig(vocab_size=320)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[StageContext]:
    store = RunStore(tmp_path)
    store.write(layout.RUN, b"{}\n")
    with corpus_writer(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)) as writer:
        for number, text in enumerate([*STORIES, *MANUALS]):
            writer.add(Document(text, int(number >= len(STORIES)), TRAIN, number))
        writer.add(Document(UNSEEN, 0, VAL, 99))
    context = StageContext(store, EventWriter(store.path(layout.EVENTS)), seed=1)
    record = context.record("dataset", CONFIG)
    record.add_output("corpus", layout.CORPUS)
    record.add_output("documents", layout.CORPUS_DOCUMENTS)
    body = {"sources": [{"id": "stories"}, {"id": "manuals"}]}
    store.write_report(layout.CORPUS_MANIFEST, "corpus_manifest", body, record.manifest(context.clock.monotonic()))
    yield context
    context.events.close()


def report_of(ctx: StageContext, config: TokenizerConfig = CONFIG) -> dict[str, Any]:
    stage.run(ctx, config)
    return ctx.store.require_outputs(layout.TOKENIZER_REPORT, "tokenizer_report")


def test_report_agrees_with_a_recount(ctx: StageContext):
    report = report_of(ctx)
    tok = Tokenizer.load(ctx.store.path(layout.TOKENIZER))
    encoded = [tok.encode(text) for text in [*STORIES, *MANUALS]]
    held_out = tok.encode(UNSEEN)
    everything = [token for ids in [*encoded, held_out] for token in ids]
    assert report["vocab_size"] == tok.vocab_size == 320 and report["special_tokens"] == tok.specials
    assert report["train_tokens"] == sum(len(ids) + 2 for ids in encoded) and report["val_tokens"] == len(held_out) + 2
    size = sum(len(text.encode()) for text in [*STORIES, *MANUALS, UNSEEN])
    assert report["bytes_per_token"] == pytest.approx(size / len(everything))
    manual_size = sum(len(text) for text in MANUALS)
    assert report["bytes_per_token_by_source"]["manuals"] == pytest.approx(
        manual_size / sum(map(len, encoded[len(STORIES) :]))
    )
    assert report["unused_ids"] == 320 - 16 - len(set(everything))
    singles = sum(len(tok.decode_bytes([token])) == 1 for token in everything)
    assert report["single_byte_token_frac"] == pytest.approx(singles / len(everything))
    lengths = [entry["bytes"] for entry in report["longest_tokens"]]
    assert len(lengths) == 20 and lengths == sorted(lengths, reverse=True) and lengths[0] == max(tok.token_bytes)


def test_manifest_names_inputs_and_outputs(ctx: StageContext):
    manifest = report_of(ctx)["manifest"]
    assert {ref["path"] for ref in manifest["inputs"]} == {
        layout.CORPUS,
        layout.CORPUS_DOCUMENTS,
        layout.CORPUS_MANIFEST,
    }
    assert [ref["path"] for ref in manifest["outputs"]] == [layout.TOKENIZER]


def test_merges_come_from_the_train_side_only(ctx: StageContext):
    report_of(ctx)
    tok = Tokenizer.load(ctx.store.path(layout.TOKENIZER))
    assert all(b"zy" not in tok.decode_bytes([token]) for token in range(tok.vocab_size))


def test_baselines_are_those_of_the_whole_corpus(ctx: StageContext):
    report = report_of(ctx)
    tok = Tokenizer.load(ctx.store.path(layout.TOKENIZER))
    reader = CorpusReader(ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS))
    train, val = (
        [np.array([tok.bos, *tok.encode(t), tok.eos]) for t in reader.iter_texts(side)] for side in ("train", "val")
    )
    expected = ngram_baselines(train, val, tok.vocab_size, len(UNSEEN), counted=tok.token_bytes > 0)
    assert report["baselines"].keys() == expected.keys() >= {"uniform", "unigram", "bigram", "trigram"}
    for name, scores in expected.items():
        assert report["baselines"][name] == pytest.approx(scores)
    sample = report["baselines_sample"]
    assert sample == {"train_tokens": report["train_tokens"], "val_tokens": report["val_tokens"], "limited": False}


def test_limits_are_kept_and_said(ctx: StageContext):
    report = report_of(ctx, TokenizerConfig(vocab_size=280, baseline_max_tokens=200, sample_bytes=400))
    assert report["baselines_sample"]["limited"] and 0 < report["baselines_sample"]["train_tokens"] <= 200
    assert report["train_sample"]["limited"] and 1 <= report["train_sample"]["documents"] < len(STORIES)
    assert report["train_tokens"] > 200


def test_fast_path_proof_is_recorded(ctx: StageContext):
    proof = report_of(ctx)["fast_path"]
    size = sum(len(text.encode()) for text in [*STORIES, *MANUALS])
    assert proof["equal"] and proof["difference"] is None and proof["checked_bytes"] > size


def test_a_difference_of_the_fast_path_warns(ctx: StageContext, monkeypatch: pytest.MonkeyPatch):
    class Wrong:
        def encode_ordinary(self, text: str) -> list[int]:
            return [0]

    monkeypatch.setattr("picochat.tokenizer.tokenizer._build_fast", lambda pieces: Wrong())
    report = report_of(ctx)
    assert not report["fast_path"]["equal"]
    warnings = [event for event in iter_events(ctx.store.path(layout.EVENTS)) if event["kind"] == "warning"]
    assert [event["code"] for event in warnings] == ["tokenizer.fast_path"]


def test_a_second_run_writes_the_same_tokenizer_and_keeps_the_old_report(ctx: StageContext):
    report_of(ctx)
    first = ctx.store.path(layout.TOKENIZER).read_bytes()
    report_of(ctx)
    assert ctx.store.path(layout.TOKENIZER).read_bytes() == first
    assert ctx.store.has("tokenizer_report.001.json") and not ctx.store.has("tokenizer.001.json")


def test_a_changed_corpus_is_refused_before_anything_is_written(ctx: StageContext):
    path = ctx.store.path(layout.CORPUS)
    path.write_bytes(path.read_bytes().replace(b"miller", b"mill3r"))
    with pytest.raises(PicochatError) as caught:
        stage.run(ctx, CONFIG)
    assert caught.value.code == "artifact.changed" and not ctx.store.has(layout.TOKENIZER)


def test_a_corpus_too_small_for_the_vocabulary_is_refused(ctx: StageContext):
    with pytest.raises(PicochatError, match="50,000") as caught:
        stage.run(ctx, TokenizerConfig(vocab_size=50_000))
    assert caught.value.code == "tokenizer.vocab" and not ctx.store.has(layout.TOKENIZER)


def test_a_sample_is_the_beginning_of_the_order_of_digests(ctx: StageContext):
    reader = CorpusReader(ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS))
    train = reader.indices("train").tolist()
    order = sorted(train, key=lambda index: bytes(reader.documents["sha256"][index]))
    sizes = [int(reader.documents["length"][index]) for index in order]
    for limit in (1, 500, 1500, sum(sizes) - 1, sum(sizes), 1 << 40):
        sample = draw_sample(reader, "train", limit)
        fitting = max(1, sum(total <= limit for total in accumulate(sizes)))
        assert sample.documents.tolist() == order[:fitting] and sample.bytes == sum(sizes[:fitting])
        assert (sample.side_documents, sample.side_bytes) == (len(train), sum(sizes))
        assert sample.limited == (fitting < len(train))


def test_a_sample_is_drawn_in_blocks(ctx: StageContext, monkeypatch: pytest.MonkeyPatch):
    reader = CorpusReader(ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS))
    whole = draw_sample(reader, "train", 900)
    monkeypatch.setattr(sampling, "BLOCK_DOCUMENTS", 4)
    again = draw_sample(reader, "train", 900)
    assert again.documents.tolist() == whole.documents.tolist() and again[1:] == whole[1:]


def test_what_is_not_encoded_is_estimated_and_said(ctx: StageContext):
    whole = report_of(ctx)
    assert whole["measured"] == {"train_documents": 18, "val_documents": 1, "limited": False}
    report = report_of(ctx, TokenizerConfig(vocab_size=320, measure_bytes=1000))
    assert report["measured"]["limited"] and report["measured"]["train_documents"] < 18
    assert report["baselines_sample"]["limited"]
    assert abs(report["train_tokens"] / whole["train_tokens"] - 1) < 0.2 and report["val_tokens"] == whole["val_tokens"]
