"""Counts over the text and the chat rows of a run, as they are on disk. Tokens are counted or sampled, never guessed.

shards_manifest.json -> else tokenizer_report.json, when it counted everything -> else a sample of documents, tokenised
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.data.conversations import ChatRow, EvalRow, read_chat_rows
from picochat.data.corpus import CorpusReader
from picochat.data.order import SampleOrder
from picochat.judgement.preflight.facts import ChatFacts, TokenFacts
from picochat.pipeline.config import RunConfig
from picochat.tokenizer.chat import render
from picochat.tokenizer.tokenizer import Tokenizer

SAMPLED_DOCUMENTS = 400
SAMPLED_ROWS = 5_000
GENERATED = "skills."
Z95 = 1.96


def token_facts(store: RunStore, seed: int) -> TokenFacts:
    """Unique train tokens of a run; unknown without a corpus or a tokenizer."""
    if counted := _from_shards(store):
        return TokenFacts(counted, None, layout.SHARDS_MANIFEST)
    report = _read(store, layout.TOKENIZER_REPORT)
    measured = report.get("measured")
    if isinstance(measured, dict) and measured.get("limited") is False and report.get("train_tokens"):
        return TokenFacts(float(report["train_tokens"]), None, layout.TOKENIZER_REPORT)
    try:
        return _sampled(store, seed)
    except PicochatError:
        return TokenFacts()


def _from_shards(store: RunStore) -> float | None:
    exposure = _read(store, layout.SHARDS_MANIFEST).get("exposure")
    if not isinstance(exposure, list):
        return None
    return float(sum(source["unique_tokens"] for source in exposure)) or None


def _sampled(store: RunStore, seed: int) -> TokenFacts:
    """Bytes of the train side times tokens a byte of some documents, a ratio estimate (Cochran 1977, section 6.4)."""
    corpus = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    tok = Tokenizer.load(store.path(layout.TOKENIZER))
    train = corpus.indices("train")
    if not len(train):
        return TokenFacts()
    count = min(SAMPLED_DOCUMENTS, len(train))
    chosen = train[SampleOrder(len(train), seed).samples_at(np.arange(count, dtype=np.int64))]
    sizes = corpus.documents["length"][chosen].astype(np.float64)
    tokens = np.array([len(tok.encode(corpus.text(int(index)))) for index in chosen], np.float64)
    total = float(corpus.documents["length"][train].sum())
    ratio = tokens.sum() / sizes.sum()
    spread = math.sqrt(float(np.square(tokens - ratio * sizes).sum()) / max(1, count - 1) / count)
    half = Z95 * spread * math.sqrt(1 - count / len(train)) / float(sizes.mean()) * total
    return TokenFacts(total * ratio, (total * ratio - half, total * ratio + half), layout.CORPUS, count)


def chat_facts(store: RunStore, config: RunConfig) -> ChatFacts | None:
    """Counts over the rows; None where there are none to read."""
    try:
        rows = read_chat_rows(store.path(layout.CHAT_TRAIN))
    except PicochatError:
        return None
    asked = _eval_rows(store)
    prompts = {tuple((m.role, m.content) for m in row.to_messages()[:-1]) for row in rows}
    tokenised, too_long, epochs = _fitting(store, config, rows)
    return ChatFacts(
        rows=len(rows),
        categories=dict(sorted(Counter(row.category for row in rows).items())),
        mean_answer_words=_answer_words(rows),
        duplicate_prompts_frac=1.0 - len(prompts) / len(rows),
        tokenised_rows=tokenised,
        too_long_frac=too_long,
        epochs=epochs,
        eval_rows=len(asked),
        eval_without_rule=sum(row is None for row in asked),
        eval_unanswerable=sum(row is not None and not row.answerable for row in asked),
        eval_by_category=dict(sorted(Counter(row.category for row in asked if row).items())),
    )


def _eval_rows(store: RunStore) -> list[EvalRow | None]:
    """Every row of the file; None for one that has no rule that could be scored."""
    try:
        lines = list(iter_jsonl(store.path(layout.CHAT_EVAL)))
    except (PicochatError, OSError):
        return []
    return [_parse(line) for line in lines]


def _parse(line: Any) -> EvalRow | None:
    try:
        return EvalRow.model_validate(line)
    except ValidationError:
        return None


def _answer_words(rows: Sequence[ChatRow]) -> dict[str, float]:
    """Mean words of the last answer by category, of the rows that were not generated."""
    words: dict[str, list[int]] = {}
    for row in rows:
        if not (row.source or "").startswith(GENERATED):
            words.setdefault(row.category, []).append(len(row.to_messages()[-1].content.split()))
    return {category: sum(found) / len(found) for category, found in sorted(words.items())}


def _fitting(
    store: RunStore, config: RunConfig, rows: Sequence[ChatRow]
) -> tuple[int | None, float | None, float | None]:
    """(rows rendered, share that is too long, epochs that the planned tokens pay for), of a keyed sample of rows."""
    try:
        tok = Tokenizer.load(store.path(layout.TOKENIZER))
    except PicochatError:
        return None, None, None
    count = min(SAMPLED_ROWS, len(rows))
    chosen = SampleOrder(len(rows), config.seed).samples_at(np.arange(count, dtype=np.int64))
    lengths = np.array([len(render(rows[int(i)].to_messages(), tok).ids) - 1 for i in chosen])
    fits = lengths <= config.sft.loop.seq_len
    epoch_tokens = float(lengths[fits].sum()) / count * len(rows)
    epochs = config.sft.loop.tokens / epoch_tokens if epoch_tokens else None
    return count, float(1 - fits.mean()), epochs


def _read(store: RunStore, path: str) -> dict[str, Any]:
    try:
        document = store.read(path)
    except (PicochatError, OSError):
        return {}
    return document if isinstance(document, dict) else {}
