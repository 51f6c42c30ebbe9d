"""The data mode for tiny and local runs: the tokens of the corpus's own documents, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from picochat.data.corpus import CorpusReader
from picochat.data.split import Side

BATCH_DOCUMENTS = 512
UINT16_IDS = 65_536


@dataclass(frozen=True)
class TokenDocuments:
    """One stream of `bos text eos` documents.

    `tokens` is uint16, or int32 when an id needs it. Document i begins at `starts[i]` and is number `documents[i]` of
    the corpus.
    """

    tokens: np.ndarray
    starts: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.documents)

    def document(self, index: int) -> np.ndarray:
        """The tokens of one document, bos and eos included."""
        end = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.tokens)
        return self.tokens[self.starts[index] : end]


def encode_corpus(
    reader: CorpusReader, encode_batch: Callable[[list[str]], list[list[int]]], bos: int, eos: int, split: Side
) -> TokenDocuments:
    """Encodes the documents of one side, in corpus order, each as `bos text eos`."""
    documents = reader.indices(split)
    batches = (
        encode_batch([reader.text(int(index)) for index in documents[first : first + BATCH_DOCUMENTS]])
        for first in range(0, len(documents), BATCH_DOCUMENTS)
    )
    return join_documents(chain.from_iterable(batches), documents.astype(np.int64), bos, eos)


def join_documents(encoded: Iterable[Sequence[int]], documents: np.ndarray, bos: int, eos: int) -> TokenDocuments:
    """One stream of the texts' ids, each between `bos` and `eos`; `documents` are their numbers."""
    chunks = [_narrow(np.array([bos, *ids, eos], dtype=np.int32)) for ids in encoded]
    starts = np.cumsum([0, *map(len, chunks)], dtype=np.int64)[:-1]
    tokens = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.uint16)
    return TokenDocuments(tokens, starts, documents)


def _narrow(ids: np.ndarray) -> np.ndarray:
    """uint16 where every id fits; joining such parts with int32 parts gives int32."""
    return ids.astype(np.uint16) if int(ids.max()) < UINT16_IDS else ids
