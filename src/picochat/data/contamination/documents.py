"""Held-out documents against the training text: which share of a document's 13-grams stands there.

A document is no question: a few grams in common are quotations, and half of them a copy. A bounded number of
documents, in the order of their digests, is compared; of the first of them also the share of spans of 8, 13 and 20
words that stand in the training text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.block import Block
from picochat.data.contamination.boilerplate import Phrase, common_hashes, least_items
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.fields import Words, join_words
from picochat.data.contamination.grams import GramTable, build_table
from picochat.data.contamination.hashing import GramHashes, hash_words
from picochat.data.contamination.matches import first_of_each
from picochat.data.contamination.words import Places, words_of

SPANS = (8, 20)
"""Lengths in words, beside that of a gram, whose share is measured."""
_TRIES = 16


@dataclass(frozen=True)
class DocumentIndex:
    """Grams of the compared documents; `numbers` are those of the corpus."""

    config: ContaminationConfig
    numbers: NDArray[np.int64]
    n_documents: int
    """Held-out documents in all, those left out included."""
    words: Words
    n_measured: int
    """Documents, from the first on, whose spans are measured."""
    tables: tuple[GramTable, ...]
    """Of grams, then of the spans; `fields` are documents by their place in `numbers`."""
    boilerplate: NDArray[np.bool_]
    """By number in the first table: grams in many documents."""

    def new_flags(self) -> list[NDArray[np.bool_]]:
        """One flag for every gram of every table, all False."""
        return [np.zeros(len(table), np.bool_) for table in self.tables]

    @property
    def at_least_documents(self) -> int:
        """Documents that make a gram boilerplate."""
        return least_items(len(self.numbers), self.config)


@dataclass(frozen=True)
class DocumentSpans:
    """What one block holds of a table: different grams by number, and where the first of each stands."""

    numbers: Places
    documents: Places
    """By their numbers in the corpus or file."""
    words: Places
    """The word of the document where the gram begins."""


def build_document_index(
    numbered: Iterable[tuple[int, str]], n_documents: int, config: ContaminationConfig
) -> DocumentIndex:
    """Takes (number, text) until `document_words` are reached; the first document is taken in any case."""
    numbers: list[int] = []
    sequences: list[list[bytes]] = []
    total = measured = 0
    for number, text in numbered:
        words = words_of(text)
        if numbers and total + len(words) > config.document_words:
            break
        numbers.append(number)
        sequences.append(words)
        measured += not measured or total + len(words) <= config.span_words
        total += len(words)
    joined = join_words(sequences)
    builder = _Tables(joined, config)
    grams = builder.table(config.gram_words, len(numbers))
    tables = (grams, *(builder.table(n, measured) for n in SPANS))
    return DocumentIndex(
        *(config, np.array(numbers, np.int64), n_documents, joined, measured, tables),
        _common_grams(grams, len(numbers), config),
    )


class _Tables:
    def __init__(self, words: Words, config: ContaminationConfig) -> None:
        self._words = words
        self._grams = GramHashes(hash_words(words.text).hashes)
        self._documents = np.repeat(np.arange(len(words)), words.lengths)
        self._places = np.arange(len(self._documents)) - words.first[self._documents]

    def table(self, n: int, n_documents: int) -> GramTable:
        lengths = self._words.lengths[self._documents]
        starts = np.flatnonzero((self._places + n <= lengths) & (self._documents < n_documents))
        return build_table(n, self._grams.at(starts, n), self._documents[starts], self._places[starts])


def _common_grams(table: GramTable, n_documents: int, config: ContaminationConfig) -> NDArray[np.bool_]:
    hashes = np.repeat(table.hashes, np.diff(table.first))
    common = common_hashes(hashes, table.fields.astype(np.int64), least_items(n_documents, config))
    return np.isin(table.hashes, common)


def find_spans(index: DocumentIndex, block: Block, seen: Sequence[NDArray[np.bool_]]) -> list[DocumentSpans]:
    """The grams of every table that stand in the core of a block, each at its first place there.

    What was `seen` (by table) is not looked at again; what is found is added. Grams are compared by their words, the
    other spans by their hashes alone, since they are only counted.
    """
    found = []
    for place, (table, known) in enumerate(zip(index.tables, seen, strict=True)):
        places, numbers = table.find(block.grams)
        homes = block.documents_of(places)
        usable = ~known[numbers] & block.in_core(homes) & (homes == block.documents_of(places + table.n - 1))
        places, numbers = places[usable], numbers[usable]
        kept = first_of_each(numbers, _TRIES if place == 0 else 1)
        entries = []
        for start, number in zip(places[kept].tolist(), numbers[kept].tolist(), strict=True):
            if not known[number] and (place or _is_true(index, block, start, number)):
                known[number] = True
                entries.append((number, start))
        found.append(_located(block, entries))
    return found


def _is_true(index: DocumentIndex, block: Block, start: int, number: int) -> bool:
    table = index.tables[0]
    posting = int(table.first[number])
    document, place = int(table.fields[posting]), int(table.places[posting])
    return block.words(start, start + table.n) == index.words.words(document, place, place + table.n)


def _located(block: Block, entries: list[tuple[int, int]]) -> DocumentSpans:
    numbers, places = np.array(entries, np.int64).reshape(-1, 2).T
    homes = block.documents_of(places)
    documents = np.array(block.numbers, np.int64)[homes] if len(homes) else homes
    return DocumentSpans(numbers, documents, places - block.first_word[homes])


@dataclass(frozen=True)
class DocumentResult:
    """One compared document: grams that can be compared, those that were found, and where most of them stand."""

    number: int
    grams: int
    found: int
    share: float
    dirty: bool
    source: int = -1
    """The document or row that holds most of the found grams as their first place; -1 when none was found."""


class DocumentTally:
    """Collects what the blocks of one training text hold of the held-out documents."""

    def __init__(self, index: DocumentIndex) -> None:
        self._index = index
        self._first_document = np.full(len(index.tables[0]), -1, np.int64)
        self._first_word = np.full(len(index.tables[0]), -1, np.int64)
        self._present = index.new_flags()

    def add(self, spans: Sequence[DocumentSpans]) -> None:
        """Takes the result of the next block, in the order of the text."""
        for present, part in zip(self._present, spans, strict=True):
            present[part.numbers] = True
        new = self._first_document[spans[0].numbers] < 0
        numbers = spans[0].numbers[new]
        self._first_document[numbers], self._first_word[numbers] = spans[0].documents[new], spans[0].words[new]

    def results(self) -> list[DocumentResult]:
        """Every compared document, in their order."""
        index, table = self._index, self._index.tables[0]
        numbers = _numbers_of(table)
        usable = ~index.boilerplate[numbers]
        documents, numbers = table.fields[usable].astype(np.int64), numbers[usable]
        order = np.argsort(documents, kind="stable")
        documents, numbers = documents[order], numbers[order]
        edges = np.searchsorted(documents, np.arange(len(index.numbers) + 1))
        return [
            self._result(number, numbers[low:high])
            for number, low, high in zip(index.numbers.tolist(), edges[:-1], edges[1:], strict=True)
        ]

    def _result(self, number: int, grams: Places) -> DocumentResult:
        present = grams[self._present[0][grams]]
        share = len(present) / len(grams) if len(grams) else 0.0
        dirty = len(present) > 0 and share >= self._index.config.document_frac
        source = _commonest(self._first_document[present]) if dirty else -1
        return DocumentResult(number, len(grams), len(present), share, dirty, source)

    def place_in(self, document: int, source: int) -> tuple[int, int] | None:
        """(word of the document, word of the source) of the first gram that they share, or None.

        `document` counts the compared documents, `source` is a number of the training text.
        """
        table = self._index.tables[0]
        postings = np.flatnonzero(table.fields == document)
        numbers = np.searchsorted(table.first, postings, side="right") - 1
        shared = self._first_document[numbers] == source
        if not shared.any():
            return None
        best = np.argmin(np.where(shared, table.places[postings], np.iinfo(np.int32).max))
        return int(table.places[postings[best]]), int(self._first_word[numbers[best]])

    def span_shares(self) -> dict[str, dict[str, float | int | None]]:
        """By length in words: k of n different spans of the measured documents that stand in the training text."""
        out: dict[str, dict[str, float | int | None]] = {}
        for table, present in zip(self._index.tables, self._present, strict=True):
            measured = np.unique(_numbers_of(table)[table.fields < self._index.n_measured])
            k, n = int(present[measured].sum()), len(measured)
            out[str(table.n)] = {"k": k, "n": n, "rate": k / n if n else None}
        return dict(sorted(out.items(), key=lambda entry: int(entry[0])))


def _numbers_of(table: GramTable) -> Places:
    """By posting the number of its gram."""
    return np.repeat(np.arange(len(table)), np.diff(table.first))


def list_common_grams(index: DocumentIndex, limit: int) -> list[Phrase]:
    """The commonest boilerplate grams of the documents, commonest first."""
    table = index.tables[0]
    counts = np.diff(table.first)
    numbers = np.flatnonzero(index.boilerplate)
    ranked = numbers[np.argsort(-counts[numbers], kind="stable")][:limit]
    phrases = []
    for number in ranked.tolist():
        posting = int(table.first[number])
        place = int(table.places[posting])
        words = index.words.words(int(table.fields[posting]), place, place + table.n)
        phrases.append(Phrase(b" ".join(words).decode(), int(counts[number])))
    return phrases


def _commonest(values: Places) -> int:
    values = values[values >= 0]
    if not len(values):
        return -1
    different, counts = np.unique(values, return_counts=True)
    return int(different[np.argmax(counts)])
