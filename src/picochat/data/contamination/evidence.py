"""The lines of the list of hits: for each the item, where it stands in the training text, and both passages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picochat.data.contamination.compare import RowHit
from picochat.data.contamination.documents import DocumentResult, DocumentTally
from picochat.data.contamination.findings import HELDOUT, Findings, TextOf
from picochat.data.contamination.items import Item
from picochat.data.contamination.passages import Found, Passage, cut_passage
from picochat.data.contamination.words import word_spans, words_of

VAL = "val"
"""The name of the set of held-out documents."""
Line = dict[str, Any]


def iter_hits(findings: Findings, text_of: TextOf) -> Iterator[Line]:
    """All stored hits: of items, of held-out rows as rows, of held-out documents; by training text and item."""
    for against, side in findings.items.sides.items():
        for item in sorted(side.stored):
            yield from (_item_line(findings, against, item, found) for found in side.stored[item])
    yield from (_row_line(findings, hit, text_of) for hit in findings.rows)
    for against, tally in findings.documents.items():
        yield from _document_lines(findings, against, tally, text_of)


def _line(
    set_name: str, item: str, column: str, rule: str, against: str, n_equal: int, places: list[Line], passage: Line
) -> Line:
    """`places` count characters of the training text, `item_passage` those of the item's question, answer or text."""
    return {
        "set": set_name,
        "item": item,
        "column": column,
        "rule": rule,
        "against": against,
        "n_equal": n_equal,
        "places": places,
        "item_passage": passage,
    }


def _passage(passage: Passage) -> Line:
    return {"start": passage.start, "end": passage.end, "text": passage.text}


def _item_line(findings: Findings, against: str, number: int, found: Found) -> Line:
    item_set, item = findings.place_of_item(number)
    text = _field_text(findings, item, found.field)
    longest = findings.needles.items.config.passage_chars
    passage = cut_passage(text, word_spans(text), found.field_begin, found.field_end, longest)
    places = [{"number": document} | _passage(place) for document, place in found.passages]
    return _line(item_set.name, item.id, found.column, found.rule, against, found.n_equal, places, _passage(passage))


def _field_text(findings: Findings, item: Item, field: int) -> str:
    """The question, or the answer that has the words of the field."""
    fields = findings.needles.items.fields
    if not fields.is_answer[field]:
        return item.question
    return next(answer for answer in item.answers if words_of(answer) == fields.words.words(field))


def _row_line(findings: Findings, hit: RowHit, text_of: TextOf) -> Line:
    item = next(item_set for item_set in findings.sets if item_set.name == HELDOUT).items[hit.heldout]
    longest = findings.needles.items.config.passage_chars
    row = text_of("sft", hit.row)
    place = {"number": hit.row} | _passage(Passage(0, len(row), row[:longest]))
    passage = Passage(0, len(item.question), item.question[:longest])
    line = _line(HELDOUT, item.id, "row", hit.rule, "sft", 1, [place], _passage(passage))
    return line | ({"value": hit.value} if hit.value else {})


def _document_lines(findings: Findings, against: str, tally: DocumentTally, text_of: TextOf) -> Iterator[Line]:
    config = findings.needles.items.config
    dirty = [(place, result) for place, result in enumerate(tally.results()) if result.dirty]
    for place, result in dirty[: config.hits_stored]:
        yield _document_line(findings, against, tally, place, result, text_of)


def _document_line(
    findings: Findings, against: str, tally: DocumentTally, place: int, result: DocumentResult, text_of: TextOf
) -> Line:
    """With the stretch around the first gram that the document shares with the text that has most of its grams."""
    longest = findings.needles.items.config.passage_chars
    held, source = text_of("corpus", result.number), text_of(against, result.source)
    held_words, source_words = words_of(held), words_of(source)
    begin, other = tally.place_in(place, result.source) or (0, 0)
    n = 0
    while (
        begin + n < len(held_words)
        and other + n < len(source_words)
        and held_words[begin + n] == source_words[other + n]
    ):
        n += 1
    found = cut_passage(source, word_spans(source), other, other + n, longest)
    passage = cut_passage(held, word_spans(held), begin, begin + n, longest)
    places = [{"number": result.source} | _passage(found)]
    line = _line(VAL, str(result.number), "document", "gram_share", against, result.found, places, _passage(passage))
    return line | {"grams": result.grams, "share": round(result.share, 6)}
