"""Which hits are stored: the first of each item, and of the first items, in whatever order they come."""

from random import Random

import numpy as np

from picochat.data.contamination.passages import Found
from picochat.data.contamination.tally import SideTally


def side() -> SideTally:
    return SideTally(np.zeros((9, 3), np.bool_), np.zeros(9, np.int64))


def found(document: int) -> Found:
    return Found(0, "question", "gram", document, document, 0, 13, 13)


def test_an_item_for_which_there_was_no_room_does_not_come_back():
    tally = side()
    for item in (0, 1, 1, 0, 2):
        tally.keep(item, found(1), 2, 2)
    assert list(tally.stored) == [0]
    tally.keep(1, found(9), 2, 2)
    tally.trim(2)
    assert list(tally.stored) == [0]


def test_what_is_stored_does_not_depend_on_the_order():
    hits = [(item, document) for item in range(9) for document in range(5)]
    stored = []
    for seed in range(20):
        Random(seed).shuffle(hits)
        tally = side()
        for item, document in hits:
            tally.keep(item, found(document), 3, 10)
        tally.trim(10)
        stored.append({item: [hit.first_document for hit in tally.stored[item]] for item in sorted(tally.stored)})
    assert stored == [{0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1, 2]}] * 20
