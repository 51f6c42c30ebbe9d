"""What the models are asked: passages and canaries, read from the corpus by offset, and proved first. Torch-free."""

from __future__ import annotations

from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.jsonio import iter_jsonl
from picochat.data.corpus import CorpusReader
from picochat.data.memorisation.canaries import Canary, reference_texts
from picochat.data.memorisation.passages import Passage, choose_passages
from picochat.data.mixture import name_shares, read_shares, resolve_weights
from picochat.data.split import SIDES, Side
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.tokenizer.tokenizer import Tokenizer


class Spans(NamedTuple):
    """Tokens that are given and tokens that must follow, and whether the context made them fewer than asked for."""

    prefix: int
    suffix: int
    scaled: bool


class Fact(NamedTuple):
    """A canary with its line of the list, and ids of itself and of its references behind one prompt."""

    row: dict[str, Any]
    prompt: list[int]
    candidates: list[list[int]]
    """The true one first."""


class Material(NamedTuple):
    """Passages by side, for both purposes, and the facts."""

    spans: Spans
    continued: dict[Side, list[Passage]]
    scored: dict[Side, list[Passage]]
    facts: list[Fact]


def fit_spans(config: MemorisationConfig, context: int) -> Spans:
    """BOS, prefix and suffix in the context; in a shorter one both keep their proportion."""
    prefix, suffix = config.prefix_tokens, config.suffix_tokens
    room = context - 1
    if prefix + suffix <= room:
        return Spans(prefix, suffix, False)
    scaled = max(1, room * prefix // (prefix + suffix))
    return Spans(scaled, room - scaled, True)


def add_inputs(store: RunStore, record: StageRecord) -> dict[str, Any]:
    """Re-hashes what the dataset stage wrote and names it; gives its manifest. Raises `artifact.*`."""
    manifest = store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    kinds = {
        "corpus_manifest": layout.CORPUS_MANIFEST,
        "corpus": layout.CORPUS,
        "corpus_documents": layout.CORPUS_DOCUMENTS,
    }
    if manifest.get("canaries"):
        kinds["canaries"] = layout.CANARIES
    for kind, path in kinds.items():
        record.add_input(kind, path)
    return manifest


def read_material(
    store: RunStore, manifest: dict[str, Any], tok: Tokenizer, config: MemorisationConfig, context: int
) -> Material:
    """Chosen from the corpus and the list of canaries. Raises `corpus.layout`."""
    reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    shares = name_shares(reader, read_shares(manifest))
    weights = resolve_weights(reader, shares, lambda text: len(tok.encode_array(text)))
    spans = fit_spans(config, context)
    least, most = spans.prefix + spans.suffix, min(config.loss_tokens, context)

    def choose(side: Side, least: int, most: int) -> list[Passage]:
        return choose_passages(reader, tok, weights, side, config.documents, least, most)

    continued: dict[Side, list[Passage]] = {side: choose(side, least, least) for side in SIDES}
    scored: dict[Side, list[Passage]] = {side: choose(side, 1, most) for side in SIDES}
    facts = _read_facts(store, manifest, tok, config.references) if manifest.get("canaries") else []
    return Material(spans, continued, scored, facts)


def _read_facts(store: RunStore, manifest: dict[str, Any], tok: Tokenizer, references: int) -> list[Fact]:
    return [
        build_fact(row, manifest["split"]["salt"], tok, references) for row in iter_jsonl(store.path(layout.CANARIES))
    ]


def build_fact(row: dict[str, Any], salt: str, tok: Tokenizer, references: int) -> Fact:
    """The prompt is what all texts begin with alike, so the digits are encoded as they stand in the whole text."""
    canary = Canary(row["prefix"], row["secret"], row["copies"])
    texts = tok.encode_batch([canary.text, *reference_texts(canary, salt, references)])
    common = 0
    while all(common + 1 < len(ids) and ids[common] == texts[0][common] for ids in texts):
        common += 1
    return Fact(row, [tok.bos, *texts[0][:common]], [ids[common:] for ids in texts])
