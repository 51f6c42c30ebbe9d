"""Documents into rows of a fixed number of tokens, as a stream in bounded memory.

best_fit_crop   every row is full and begins with a document; what fits nowhere is cut off (the best-fit packing of Ding
                et al. 2024, arXiv:2404.10830, with cropping in place of splitting). For plenty of text.
no_crop         every target is trained on: long documents are cut into pieces that overlap by one token, and pieces
                are packed best fit by decreasing length; what is left of a row is padding. For scarce text.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from numpy.typing import NDArray

from picochat.data.packing import pack_best_fit

BUFFER_DOCUMENTS = 1024
GROUP_DOCUMENTS = 8192


class Piece(NamedTuple):
    """Some tokens of a document; `offset` is the place of the first one in `<bos> text <eos>`."""

    document: int
    offset: int
    tokens: NDArray[Any]
    whole: bool = False
    """Whether nothing may be cut off: a planted document without its digits would measure nothing."""


class PackedRow(NamedTuple):
    """The pieces of one row, in order, and how many tokens were cut off to make them fit."""

    pieces: list[Piece]
    cropped: int

    @property
    def length(self) -> int:
        return sum(len(piece.tokens) for piece in self.pieces)


def pack_best_fit_crop(
    documents: Iterable[Piece], capacity: int, buffer_documents: int = BUFFER_DOCUMENTS
) -> Iterator[PackedRow]:
    """Rows of exactly `capacity` tokens; only the last ones may be shorter.

    Of a buffer of documents the longest that still fits goes into the row; when none does, the shortest is cut that may
    be cut; when only `whole` ones wait, the row stays shorter. A document longer than a row is always cut. A document
    is placed once. Documents are taken in order, so equal documents give equal rows.
    """
    source = iter(documents)
    waiting: list[tuple[int, int, Piece]] = []  # (length, number of arrival, document), sorted
    arrivals = 0
    while True:
        for document in islice(source, buffer_documents - len(waiting)):
            insort(waiting, (len(document.tokens), arrivals, document))
            arrivals += 1
        if not waiting:
            return
        pieces, free, cropped = [], capacity, 0
        while free and waiting:
            place = bisect_left(waiting, (free + 1, -1)) - 1
            if place < 0:
                place = _first_to_cut(waiting, capacity)
            if place < 0:
                break
            length, _, document = waiting.pop(place)
            pieces.append(document._replace(tokens=document.tokens[:free]))
            cropped += max(0, length - free)
            free -= min(length, free)
            for fresh in islice(source, 1):
                insort(waiting, (len(fresh.tokens), arrivals, fresh))
                arrivals += 1
        yield PackedRow(pieces, cropped)


def _first_to_cut(waiting: list[tuple[int, int, Piece]], capacity: int) -> int:
    """The place of the shortest document that may be cut, -1 when there is none."""
    places = (at for at, (length, _, piece) in enumerate(waiting) if not piece.whole or length > capacity)
    return next(places, -1)


def pack_no_crop(
    documents: Iterable[Piece], capacity: int, group_documents: int = GROUP_DOCUMENTS
) -> Iterator[PackedRow]:
    """Rows of at most `capacity` tokens in which each target of each document stands once; a group at a time."""
    source = iter(documents)
    while group := list(islice(source, group_documents)):
        pieces = [piece for document in group for piece in iter_overlapping(document, capacity)]
        pieces.sort(key=lambda piece: -len(piece.tokens))  # stable: equal lengths stay in the order of the corpus
        for members in pack_best_fit([len(piece.tokens) for piece in pieces], capacity):
            yield PackedRow([pieces[member] for member in members], 0)


def iter_overlapping(document: Piece, capacity: int) -> Iterator[Piece]:
    """Pieces of at most `capacity` tokens; the last token of one is the first of the next, so no target is lost."""
    for begin in range(0, max(1, len(document.tokens) - 1), capacity - 1):
        yield Piece(document.document, document.offset + begin, document.tokens[begin : begin + capacity])
