"""From a match to what a person can read: the documents it lies in, and its characters in each of them."""

from __future__ import annotations

from dataclasses import dataclass

from picochat.data.contamination.block import Block
from picochat.data.contamination.fields import Column
from picochat.data.contamination.matches import Match, Rule
from picochat.data.contamination.words import Spans, word_spans


@dataclass(frozen=True)
class Passage:
    """Characters `start` to `end` of a text; `text` is their beginning when they are many."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Found:
    """A match without its block: documents by their numbers; `passages` stay empty where they are not stored."""

    field: int
    column: Column
    rule: Rule
    first_document: int
    last_document: int
    field_begin: int
    field_end: int
    n_equal: int
    passages: tuple[tuple[int, Passage], ...] = ()
    """(document, passage) of every document that the match lies in."""

    @property
    def split(self) -> bool:
        return self.first_document != self.last_document


def cut_passage(text: str, spans: Spans, begin: int, end: int, longest: int) -> Passage:
    """The passage from word `begin` to the word before `end` of a text, with at most `longest` characters shown."""
    start, stop = int(spans.starts[begin]), int(spans.ends[end - 1])
    return Passage(start, stop, text[start : min(stop, start + longest)])


class PassageCutter:
    """Cuts the passages of a block's matches; the words of a document are found once."""

    def __init__(self, block: Block, longest: int) -> None:
        self._block, self._longest = block, longest
        self._spans: dict[int, tuple[str, Spans]] = {}

    def found(self, match: Match, *, stored: bool) -> Found:
        """The match with its passages, or without them unless they are to be stored."""
        documents = range(match.document, match.last_document + 1)
        numbers = [self._block.numbers[document] for document in documents]
        cut = [(number, self._cut(match, document)) for number, document in zip(numbers, documents, strict=True)]
        passages = tuple((number, passage) for number, passage in cut if passage) if stored else ()
        return Found(
            *(match.field, match.column, match.rule, numbers[0], numbers[-1]),
            *(match.field_begin, match.field_end, match.n_equal, passages),
        )

    def _cut(self, match: Match, document: int) -> Passage | None:
        low, high = self._block.within(document)
        begin, end = max(match.begin, low) - low, min(match.end, high) - low
        if begin >= end:
            return None
        if document not in self._spans:
            text = self._block.documents[document].decode()
            self._spans[document] = text, word_spans(text)
        text, spans = self._spans[document]
        return cut_passage(text, spans, begin, end, self._longest)
