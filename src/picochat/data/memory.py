"""The data mode for tiny and local runs: the tokens of the corpus's own documents, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from picochat.data.corpus import CorpusReader
from picochat.data.rows import Pieces

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

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    def read(self, begin: int, end: int) -> np.ndarray:
        """The tokens of places `begin` to `end` of the stream."""
        return self.tokens[begin:end]

    def pieces(self, begin: int, end: int) -> Pieces:
        """The documents that overlap the places `begin` to `end`."""
        first = int(np.searchsorted(self.starts, begin, side="right")) - 1
        last = int(np.searchsorted(self.starts, end, side="left"))
        found = slice(first, last)
        return Pieces(self.starts[found], self.documents[found], np.zeros(last - first, np.int64))

    def document(self, index: int) -> np.ndarray:
        """The tokens of one document, bos and eos included."""
        end = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.tokens)
        return self.tokens[self.starts[index] : end]

    def iter_documents(self) -> Iterator[np.ndarray]:
        """The tokens of every document, in order."""
        return (self.document(index) for index in range(len(self)))

    def lengths(self) -> np.ndarray:
        """Tokens a document."""
        return np.diff(np.append(self.starts, len(self.tokens)))


def encode_documents(
    reader: CorpusReader,
    numbers: Sequence[int],
    encode_batch: Callable[[list[str]], list[list[int]]],
    bos: int,
    eos: int,
) -> TokenDocuments:
    """Encodes documents by their numbers, in this order, each as `bos text eos`."""
    batches = (
        encode_batch([reader.text(index) for index in numbers[first : first + BATCH_DOCUMENTS]])
        for first in range(0, len(numbers), BATCH_DOCUMENTS)
    )
    return join_documents(chain.from_iterable(batches), np.array(numbers, np.int64), bos, eos)


def join_documents(encoded: Iterable[Sequence[int]], documents: np.ndarray, bos: int, eos: int) -> TokenDocuments:
    """One stream of the texts' ids, each between `bos` and `eos`; `documents` are their numbers."""
    chunks = [_narrow(np.array([bos, *ids, eos], dtype=np.int32)) for ids in encoded]
    starts = np.cumsum([0, *map(len, chunks)], dtype=np.int64)[:-1]
    tokens = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.uint16)
    return TokenDocuments(tokens, starts, documents)


def _narrow(ids: np.ndarray) -> np.ndarray:
    """uint16 where every id fits; joining such parts with int32 parts gives int32."""
    return ids.astype(np.uint16) if int(ids.max()) < UINT16_IDS else ids
