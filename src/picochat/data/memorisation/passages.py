"""Documents by digest: beginnings of texts, taken from the corpus by offset, whatever a data mode keeps in memory.

The order is that of `document_fractions`, so a choice depends on what texts say and never on where they stand, and of a
source of which an epoch takes a part, the documents that it takes come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.corpus import BLOCK_DOCUMENTS, CorpusReader
from picochat.data.split import SIDES, Side
from picochat.data.stream import document_fractions
from picochat.tokenizer.tokenizer import Tokenizer

SCANNED_A_PASSAGE = 20
"""Documents that are looked at for each passage that is wanted: short ones are passed over."""
PASSAGE_CHARS = 20_000
"""What is encoded of a document."""


class Passage(NamedTuple):
    """The first ids of a document's text, without BOS."""

    document: int
    ids: list[int]


def choose_passages(
    reader: CorpusReader, tok: Tokenizer, weights: Sequence[float], side: Side, count: int, least: int, most: int
) -> list[Passage]:
    """At most `count` documents of a side that have `least` tokens or more, each with its first `most`.

    Of the train side only what an epoch shows, by the `weights` of the sources; nothing that was planted. When few
    documents are long enough there are fewer: no more than `SCANNED_A_PASSAGE * count` are looked at.
    """
    found = []
    for number in order_documents(reader, weights, side, SCANNED_A_PASSAGE * count):
        ids = tok.encode_array(reader.text(number)[:PASSAGE_CHARS])
        if len(ids) >= least:
            found.append(Passage(number, ids[:most].tolist()))
            if len(found) == count:
                break
    return found


def order_documents(reader: CorpusReader, weights: Sequence[float], side: Side, count: int) -> list[int]:
    """The `count` found documents of a side with the smallest fractions, in their order. Holds twice as many."""
    numbers, fractions = np.empty(0, np.int64), np.empty(0, np.float64)
    for own, block in _iter_side(reader, side):
        keys = document_fractions(block)
        shown = keys < np.asarray(weights, np.float64)[block["source"]] if side == "train" else np.ones(len(own), bool)
        numbers, fractions = np.append(numbers, own[shown]), np.append(fractions, keys[shown])
        order = np.lexsort((numbers, fractions))[:count]
        numbers, fractions = numbers[order], fractions[order]
    return numbers.tolist()


def _iter_side(reader: CorpusReader, side: Side) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
    for first in range(0, reader.n_found, BLOCK_DOCUMENTS):
        block = reader.documents[first : min(first + BLOCK_DOCUMENTS, reader.n_found)]
        chosen = np.flatnonzero(block["split"] == SIDES[side])
        yield first + chosen, block[chosen]
