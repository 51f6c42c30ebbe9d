"""What the tokenizer's report says: one walk over the documents, then plain arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from picochat.data.sampling import Sample
from picochat.data.split import Side
from picochat.evals.baselines import TokenSample, encode_document, score_ngrams
from picochat.tokenizer.special import N_SPECIAL
from picochat.tokenizer.tokenizer import Tokenizer

LONGEST_TOKENS = 20


class LabelledText(NamedTuple):
    """A document with the id of its source and its side."""

    text: str
    source: str
    is_train: bool


@dataclass
class TokenCounts:
    """Totals over documents. `sample` keeps whole documents of each side, train side or not, under a limit."""

    seen: np.ndarray
    """int64 [vocab_size]: how often an id stands in text."""
    sample: dict[bool, TokenSample]
    source_tokens: Counter[str] = field(default_factory=Counter)
    source_bytes: Counter[str] = field(default_factory=Counter)
    side_tokens: Counter[bool] = field(default_factory=Counter)
    """By train side or not, <bos> and <eos> of each document included."""


def count_tokens(documents: Iterable[LabelledText], tok: Tokenizer, sample_limit_tokens: int) -> TokenCounts:
    """Encodes every document once."""
    sample = {side: TokenSample(sample_limit_tokens) for side in (True, False)}
    counts = TokenCounts(np.zeros(tok.vocab_size, dtype=np.int64), sample)
    for document in documents:
        _add_document(counts, document, encode_document(tok, document.text), tok)
    return counts


def _add_document(counts: TokenCounts, document: LabelledText, ids: np.ndarray, tok: Tokenizer) -> None:
    text_ids = ids[1:-1]
    counts.seen += np.bincount(text_ids, minlength=tok.vocab_size)
    counts.source_tokens[document.source] += len(text_ids)
    counts.source_bytes[document.source] += int(tok.token_bytes[text_ids].sum())
    counts.side_tokens[document.is_train] += len(ids)
    counts.sample[document.is_train].add(ids)


def describe_vocabulary(counts: TokenCounts, tok: Tokenizer) -> dict[str, Any]:
    """How well the vocabulary fits the corpus: bytes a token, single bytes, unused ids, longest tokens."""
    tokens, size = counts.source_tokens.total(), counts.source_bytes.total()
    longest = np.argsort(-tok.token_bytes, kind="stable")[:LONGEST_TOKENS].tolist()
    return {
        "bytes_per_token": size / tokens if tokens else 0.0,
        "bytes_per_token_by_source": {
            name: counts.source_bytes[name] / count for name, count in sorted(counts.source_tokens.items()) if count
        },
        "single_byte_token_frac": int(counts.seen[tok.token_bytes == 1].sum()) / tokens if tokens else 0.0,
        "unused_ids": int((counts.seen[:-N_SPECIAL] == 0).sum()),
        "longest_tokens": [
            {"id": token, "text": tok.decode([token]), "bytes": int(tok.token_bytes[token])} for token in longest
        ],
    }


def describe_sides(counts: TokenCounts, measured: Mapping[Side, Sample]) -> dict[str, Any]:
    """Tokens of both sides with BOS and EOS: counted, or estimated by bytes where only a sample was encoded."""
    train, val = measured["train"], measured["val"]
    return {
        "train_tokens": round(counts.side_tokens[True] * train.side_bytes / max(1, train.bytes)),
        "val_tokens": round(counts.side_tokens[False] * val.side_bytes / max(1, val.bytes)),
        "measured": {
            "train_documents": len(train.documents),
            "val_documents": len(val.documents),
            "limited": train.limited or val.limited,
        },
    }


def measure_baselines(counts: TokenCounts, tok: Tokenizer, limited: bool) -> dict[str, Any]:
    """n-gram scores of the held-out side, and how much of both sides they come from.

    `limited` when not all documents were counted.
    """
    train, val = counts.sample[True], counts.sample[False]
    sampled = {True: train.tokens, False: val.tokens}
    return {
        "baselines": score_ngrams(train, val, tok),
        "baselines_sample": {
            "train_tokens": train.tokens,
            "val_tokens": val.tokens,
            "limited": limited or any(counts.side_tokens[side] != tokens for side, tokens in sampled.items()),
        },
    }
