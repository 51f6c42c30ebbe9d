"""The rule for fields of 13 words and more: a gram of 13 in a row, or else half of the small grams close together."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from picochat.data.contamination.block import Block
from picochat.data.contamination.grams import GramTable
from picochat.data.contamination.index import ContaminationIndex
from picochat.data.contamination.matches import Match, extend, first_of_each
from picochat.data.contamination.words import Places

_TRIES = 16
"""Places of one gram in one document that are looked at."""
_CHUNK = 1 << 22
"""Postings that are laid out together."""


def match_grams(index: ContaminationIndex, block: Block) -> Iterator[Match]:
    """For every document and field the best stretch around a gram of 13; stretches over a joint come beside it."""
    n = index.config.gram_words
    places, numbers = index.grams.find(block.grams)
    homes, lasts = block.documents_of(places), block.documents_of(places + n - 1)
    usable = block.in_core(homes) & ((homes == lasts) | block.joined)
    places, numbers, homes, lasts = (array[usable] for array in (places, numbers, homes, lasts))
    kept = first_of_each((homes * 2 + (homes != lasts)) * len(index.grams) + numbers, _TRIES)
    which, postings = index.grams.postings(numbers[kept])
    places, homes, crosses = places[kept][which], homes[kept][which], (homes != lasts)[kept][which]
    fields, starts = index.grams.fields[postings].astype(np.int64), index.grams.places[postings].astype(np.int64)
    # Stretches with the most grams on one line (place less start) come first.
    lines = places - starts
    _, line, count = np.unique(
        np.stack((homes, fields, crosses, lines)), axis=1, return_inverse=True, return_counts=True
    )
    order = np.lexsort((places, -count[line.ravel()], crosses, fields, homes))
    columns = (homes, fields, crosses, places, starts)
    rows = zip(*(column[order].tolist() for column in columns), strict=True)
    for (_, field, _), group in groupby(rows, key=lambda row: row[:3]):
        match = _first_true(index, block, field, [(place, start) for *_, place, start in group])
        if match:
            yield match


def _first_true(index: ContaminationIndex, block: Block, field: int, tries: list[tuple[int, int]]) -> Match | None:
    n, words = index.config.gram_words, index.fields.words
    for place, start in tries:
        if block.words(place, place + n) == words.words(field, start, start + n):
            left, right = extend(block, words, field, place, start, n)
            begin, end = place - left, place + n + right
            first, last = block.documents_of(np.array([begin, end - 1])).tolist()
            column = "answer" if index.fields.is_answer[field] else "question"
            return Match(
                first, last, field, column, "gram", begin, end, start - left, start + n + right, n + left + right
            )
    return None


class _Gram(NamedTuple):
    """A small gram of a field that stands in a block: where, which one, and where in the field."""

    place: int
    number: int
    start: int


class _Window(NamedTuple):
    """The grams, by their index, between which the most different ones stand."""

    different: int
    first: int
    last: int


def match_small_grams(index: ContaminationIndex, block: Block, done: set[tuple[int, int, bool]]) -> Iterator[Match]:
    """For every document and field the window with the most of its small grams, if they are enough.

    A window over a joint counts when no window within its first document does. `done` holds (document, field, over a
    joint) of what needs no second proof.
    """
    for field, grams in _candidates(index, block):
        needed = int(index.needed[field])
        n = index.config.small_gram_words
        reach = int(index.config.window * index.fields.words.lengths[field]) - n
        homes = block.documents_of(np.array([gram.place for gram in grams])).tolist()
        for home, members in groupby(range(len(grams)), key=homes.__getitem__):
            if not block.core[0] <= home < block.core[1] or (home, field, False) in done:
                continue
            low, high = block.within(home)
            mine = list(members)
            inside = [k for k in mine if grams[k].place + n <= high]
            window = _best_window(grams, inside, reach)
            if window.different < needed and block.joined and (home, field, True) not in done:
                around = range(mine[0], bisect_left(grams, high + reach, key=lambda gram: gram.place))
                window = _best_window(grams, around, reach, high, high - n)
            if window.different >= needed:
                yield _match(index, block, field, home, grams[window.first : window.last + 1])


def _best_window(
    grams: Sequence[_Gram], members: Sequence[int], reach: int, begin_before: int | None = None, end_after: int = -1
) -> _Window:
    """The window of at most `reach` words (from gram to gram) with the most different grams, the earliest of them.

    `begin_before` and `end_after` ask for a window over a joint.
    """
    best, held, left = _Window(0, 0, 0), Counter[int](), 0
    for right, k in enumerate(members):
        held[grams[k].number] += 1
        while grams[k].place - grams[members[left]].place > reach or held[grams[members[left]].number] > 1:
            gram = grams[members[left]].number
            held[gram] -= 1
            if not held[gram]:
                del held[gram]
            left += 1
        if begin_before is not None and (grams[members[left]].place >= begin_before or grams[k].place <= end_after):
            continue
        if len(held) > best.different:
            best = _Window(len(held), members[left], members[right])
    return best


def _match(index: ContaminationIndex, block: Block, field: int, home: int, grams: Sequence[_Gram]) -> Match:
    n = index.config.small_gram_words
    begin, end = grams[0].place, grams[-1].place + n
    starts = [gram.start for gram in grams]
    last = int(block.documents_of(np.array([end - 1]))[0])
    column = "answer" if index.fields.is_answer[field] else "question"
    different = len({gram.number for gram in grams})
    return Match(home, last, field, column, "small_grams", begin, end, min(starts), max(starts) + n, different)


def _candidates(index: ContaminationIndex, block: Block) -> Iterator[tuple[int, list[_Gram]]]:
    """(field, its small grams in the block by place) of every field that may have enough of them close together."""
    table = index.small_grams
    places, numbers = table.find(block.grams)
    if not block.joined:
        same = block.documents_of(places) == block.documents_of(places + table.n - 1)
        places, numbers = places[same], numbers[same]
    inner = _inside_repeats(places, numbers)
    places, numbers = places[~inner], numbers[~inner]
    fields, places, numbers, starts = _postings_of(table, places, numbers, _frequent(index, table, numbers))
    order = np.lexsort((places, fields))
    fields, places, numbers, starts = (array[order] for array in (fields, places, numbers, starts))
    kept = _in_full_windows(index, block, fields, places)
    rows = zip(*(array[kept].tolist() for array in (fields, places, numbers, starts)), strict=True)
    words, n = index.fields.words, table.n
    for field, group in groupby(rows, key=lambda row: row[0]):
        grams = [_Gram(*row[1:]) for row in group]
        true = [g for g in grams if block.words(g.place, g.place + n) == words.words(field, g.start, g.start + n)]
        if len(true) >= index.needed[field]:
            yield field, true


def _inside_repeats(places: Places, numbers: Places) -> np.ndarray:
    """Grams between two equal neighbours, as in a word that repeats: no window needs them, its ends have the same."""
    same = (numbers[1:] == numbers[:-1]) & (places[1:] == places[:-1] + 1)
    inner = np.zeros(len(places), np.bool_)
    inner[1:-1] = same[1:] & same[:-1]
    return inner


def _frequent(index: ContaminationIndex, table: GramTable, numbers: Places) -> np.ndarray:
    """By field: whether at least as many different small grams as it needs stand in the block."""
    counts = np.zeros(len(index.needed), np.int64)
    for chunk in _iter_chunks(table, np.unique(numbers)):
        _, postings = table.postings(chunk)
        counts += np.bincount(table.fields[postings], minlength=len(counts))
    return (index.needed > 0) & (counts >= index.needed)


def _postings_of(
    table: GramTable, places: Places, numbers: Places, wanted: np.ndarray
) -> tuple[Places, Places, Places, Places]:
    """(fields, places, numbers, starts in the field) of all postings of the wanted fields."""
    found = [np.empty((4, 0), np.int64)]
    begin = 0
    for chunk in _iter_chunks(table, numbers):
        which, postings = table.postings(chunk)
        fields = table.fields[postings].astype(np.int64)
        kept = wanted[fields]
        where = places[begin : begin + len(chunk)][which[kept]]
        found.append(np.stack((fields[kept], where, chunk[which[kept]], table.places[postings[kept]].astype(np.int64))))
        begin += len(chunk)
    fields, places, numbers, starts = np.concatenate(found, axis=1)
    return fields, places, numbers, starts


def _iter_chunks(table: GramTable, numbers: Places) -> Iterator[Places]:
    """The numbers in stretches whose postings fit into memory together."""
    if len(numbers):
        totals = np.cumsum(table.counts(numbers))
        cuts = np.unique(np.searchsorted(totals, np.arange(_CHUNK, totals[-1], _CHUNK)) + 1)
        yield from (chunk for chunk in np.split(numbers, cuts) if len(chunk))


def _in_full_windows(index: ContaminationIndex, block: Block, fields: Places, places: Places) -> np.ndarray:
    """Entries (sorted by field and place) that lie in a window with enough entries; most fields have none."""
    lengths = index.fields.words.lengths
    reach = (index.config.window * lengths[fields]).astype(np.int64) - index.config.small_gram_words
    size = block.n_words + int(reach.max(initial=0)) + 1
    keys = fields * size + places
    ends = np.searchsorted(keys, keys + reach, side="right")
    full = ends - np.arange(len(keys)) >= index.needed[fields]
    edges = np.zeros(len(keys) + 1, np.int64)
    np.add.at(edges, np.flatnonzero(full), 1)
    np.add.at(edges, ends[full], -1)
    return np.cumsum(edges[:-1]) > 0
