"""The rules for fields under 13 words: all of them in a row, or a short question with one of its answers beside it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picochat.data.contamination.block import Block
from picochat.data.contamination.grams import GramTable
from picochat.data.contamination.index import PAIR, ContaminationIndex
from picochat.data.contamination.matches import Match, find_near, first_of_each
from picochat.data.contamination.words import Places

_TRIES = 1000
"""Places of one text in one document that are looked at: a question may stand there often without its answer."""


def match_short(index: ContaminationIndex, block: Block) -> Iterator[Match]:
    """For every document and field the first place where it stands: inside the document, and over a joint."""
    places, _ = index.prefixes.find(block.grams)
    for table in index.short:
        yield from _match_length(index, block, table, places)


def _match_length(index: ContaminationIndex, block: Block, table: GramTable, places: Places) -> Iterator[Match]:
    places, numbers = table.find_at(block.grams, places)
    homes, lasts = block.documents_of(places), block.documents_of(places + table.n - 1)
    usable = block.in_core(homes) & ((homes == lasts) | block.joined)
    places, numbers, homes = places[usable], numbers[usable], homes[usable]
    kept = first_of_each(homes * len(table) + numbers, _TRIES)
    which, postings = table.postings(numbers[kept])
    found: set[tuple[int, int, bool]] = set()
    fields = table.fields[postings].tolist()
    for home, place, field in zip(homes[kept][which].tolist(), places[kept][which].tolist(), fields, strict=True):
        if (home, field, False) in found or block.words(place, place + table.n) != index.fields.words.words(field):
            continue
        match = _match_at(index, block, home, place, field)
        if match and (home, field, match.split) not in found:
            found.add((home, field, match.split))
            yield match


def _match_at(index: ContaminationIndex, block: Block, home: int, place: int, field: int) -> Match | None:
    length = int(index.fields.words.lengths[field])
    last = int(block.documents_of(np.array([place + length - 1]))[0])
    column = "answer" if index.fields.is_answer[field] else "question"
    match = Match(home, last, field, column, "whole", place, place + length, 0, length, length)
    return with_answer(index, block, match) if index.rules[field] == PAIR else match


def with_answer(index: ContaminationIndex, block: Block, match: Match) -> Match | None:
    """A question's match grown over the nearest of its answers, or None when none stands beside it.

    A question that is only looked for together with its answer has the rule `pair`.
    """
    fields, found = index.fields, None
    for answer in fields.answers(int(fields.item[match.field])):
        words = fields.words.words(answer)
        place = find_near(block, match.begin, match.end, words, index.config.pair_window_words)
        if place and (found is None or _distance(match, place) < _distance(match, found)):
            found = place
    if found is None:
        return None
    begin, end = min(match.begin, found[0]), max(match.end, found[1])
    first, last = block.documents_of(np.array([begin, end - 1])).tolist()
    rule = "pair" if index.rules[match.field] == PAIR else match.rule
    return Match(
        *(first, last, match.field, "both", rule, begin, end),
        *(match.field_begin, match.field_end, match.n_equal + found[1] - found[0]),
    )


def _distance(match: Match, place: tuple[int, int]) -> int:
    return max(place[0] - match.end, match.begin - place[1])
