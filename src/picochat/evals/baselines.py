"""The n-gram scores of a corpus under a tokenizer: whoever counts them again gets the same numbers (torch-free)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from picochat.data.corpus import CorpusReader
from picochat.data.sampling import draw_sample
from picochat.data.split import Side
from picochat.evals.ngram import ngram_baselines
from picochat.tokenizer.tokenizer import Tokenizer

Scores = dict[str, dict[str, float]]


@dataclass
class TokenSample:
    """Whole documents of one side as ids, int32, as many as fit into `limit` tokens one after the other."""

    limit: int
    documents: list[np.ndarray] = field(default_factory=list)
    tokens: int = 0

    def add(self, ids: np.ndarray) -> None:
        """Takes a document with <bos> and <eos>; one that does not fit is passed over."""
        if self.tokens + len(ids) <= self.limit:
            self.documents.append(ids)
            self.tokens += len(ids)


def encode_document(tok: Tokenizer, text: str) -> np.ndarray:
    """A document as it is trained on: <bos>, its ids, <eos>; int32."""
    return np.concatenate([[tok.bos], tok.encode_array(text), [tok.eos]]).astype(np.int32)


def sample_side(reader: CorpusReader, tok: Tokenizer, side: Side, limit_bytes: int, limit_tokens: int) -> TokenSample:
    """The documents of a side in the order of their digests, under both limits."""
    sample = TokenSample(limit_tokens)
    for ids in _iter_encoded(reader, tok, side, limit_bytes):
        sample.add(ids)
    return sample


def score_ngrams(train: TokenSample, val: TokenSample, tok: Tokenizer) -> Scores:
    """name -> {nats_per_token, bpb}, see `evals.ngram`; nothing where one side has nothing to count."""
    size, counted = sum(int(tok.token_bytes[ids].sum()) for ids in val.documents), tok.token_bytes > 0
    if not train.documents or size == 0:
        return {}
    return ngram_baselines(
        train.documents, val.documents, tok.vocab_size, size, counted=counted, max_train_tokens=train.tokens
    )


def _iter_encoded(reader: CorpusReader, tok: Tokenizer, side: Side, limit_bytes: int) -> Iterator[np.ndarray]:
    for index in draw_sample(reader, side, limit_bytes).documents.tolist():
        yield encode_document(tok, reader.text(index))
