"""A stretch of training text in words: several documents side by side, hashed together.

Documents that were one text before they were cut are `joined`: what begins in one may end in the next. Only the `core`
of a block is searched for beginnings; the documents around it are there for what reaches over its edges, so that it
does not matter where a corpus is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.hashing import GramHashes, hash_words
from picochat.data.contamination.words import FOLD, Places, comparison_bytes, is_plain


class Block:
    """Documents as UTF-8 bytes, with their numbers in the corpus or in a file of rows."""

    def __init__(
        self,
        documents: Sequence[bytes],
        numbers: Sequence[int],
        *,
        joined: bool = False,
        core: tuple[int, int] | None = None,
    ) -> None:
        """`core` is (first, one after the last) of the documents that are searched; all of them by default."""
        self.documents, self.numbers, self.joined = documents, numbers, joined
        self.core = core if core is not None else (0, len(documents))
        plain: Sequence[bytes] = documents
        self._data = b"\n".join(documents)
        if not is_plain(self._data):
            plain = [comparison_bytes(document) for document in documents]
            self._data = b"\n".join(plain)
        words = hash_words(self._data)
        self._starts, self._ends = words.starts, words.ends
        self.grams = GramHashes(words.hashes)
        lengths = np.array([len(data) + 1 for data in plain], np.int64)
        begins = np.concatenate(([0], np.cumsum(lengths)))
        self.first_word: Places = np.searchsorted(self._starts, begins)
        """Number of the first word of every document, and one more."""

    @property
    def n_words(self) -> int:
        return len(self._starts)

    def documents_of(self, places: Places) -> Places:
        """The documents (by their place in the block) that hold these words."""
        return np.searchsorted(self.first_word[:-1], places, side="right") - 1

    def in_core(self, documents: Places) -> NDArray[np.bool_]:
        return (documents >= self.core[0]) & (documents < self.core[1])

    def words(self, begin: int, end: int) -> list[bytes]:
        """Words by their numbers in the block."""
        return self._data[self._starts[begin] : self._ends[end - 1]].translate(FOLD).split() if end > begin else []

    def bounds(self, document: int) -> tuple[int, int]:
        """(first, one after the last) word that may belong to a hit which begins in this document."""
        if self.joined:
            return 0, self.n_words
        return int(self.first_word[document]), int(self.first_word[document + 1])

    def within(self, document: int) -> tuple[int, int]:
        """(first, one after the last) word of a document."""
        return int(self.first_word[document]), int(self.first_word[document + 1])
