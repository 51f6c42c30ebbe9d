"""Held-out documents: dirty when half of their grams stand in the training text, and shares of spans."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.contamination.block import Block
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.documents import (
    DocumentTally,
    build_document_index,
    find_spans,
    list_common_grams,
)


def sentence(n: int, name: str = "word", first: int = 0) -> str:
    return " ".join(f"{name}{i}" for i in range(first, first + n))


def scan(held: list[str], *blocks: list[str], config: ContaminationConfig | None = None):
    """The tally of held-out documents (numbers 100 and on) against blocks of texts (numbers 0 and on)."""
    numbered = [(100 + i, text) for i, text in enumerate(held)]
    index = build_document_index(numbered, len(held), config or ContaminationConfig())
    tally, seen, number = DocumentTally(index), index.new_flags(), 0
    for texts in blocks:
        block = Block([text.encode() for text in texts], range(number, number + len(texts)), joined=True)
        tally.add(find_spans(index, block, seen))
        number += len(texts)
    return index, tally


@pytest.mark.parametrize(("common", "dirty"), [(100, True), (57, True), (55, False), (13, False), (12, False)])
def test_half_of_the_grams_make_a_document_dirty(common: int, dirty: bool):
    """100 words have 88 grams of 13; 44 of them are the grams of 56 words in a row."""
    _, tally = scan([sentence(100)], ["nothing", f"before {sentence(common)} after"])
    (result,) = tally.results()
    assert (result.number, result.grams, result.found) == (100, 88, max(0, common - 12))
    assert result.dirty is dirty
    assert result.source == (1 if dirty else -1)


def test_parts_in_several_documents_add_up_and_the_source_is_where_most_stands():
    texts = [sentence(30), "x", sentence(50, first=30), sentence(100)[:20]]
    _, tally = scan([sentence(100)], texts[:2], texts[2:])
    (result,) = tally.results()
    assert (result.found, result.dirty, result.source) == (18 + 38, True, 2)
    assert tally.place_in(0, 2) == (30, 0)
    assert tally.place_in(0, 0) == (0, 0)
    assert tally.place_in(0, 1) is None


def test_the_first_document_is_the_source_whoever_found_it():
    """Two processes that know nothing of each other find the same gram."""
    index = build_document_index([(100, sentence(40))], 1, ContaminationConfig())
    tally = DocumentTally(index)
    for number in (3, 7):
        block = Block([sentence(40).encode()], [number])
        tally.add(find_spans(index, block, index.new_flags()))
    assert tally.results()[0].source == 3


def test_a_gram_over_a_joint_is_not_held_against_a_document():
    _, tally = scan([sentence(40)], [sentence(12), sentence(12, first=12), sentence(12, first=24)])
    assert tally.results()[0].found == 0


def test_what_many_held_out_documents_share_is_boilerplate():
    licence = sentence(40, "licence")
    held = [f"{licence} {sentence(30, f'own{i}x')}" for i in range(5)]
    index, tally = scan(held, [licence])
    assert index.boilerplate.sum() == 28
    assert [result.grams for result in tally.results()] == [30] * 5
    assert [result.found for result in tally.results()] == [0] * 5
    assert list_common_grams(index, 1)[0].items == 5
    assert list_common_grams(index, 1)[0].text in licence


def test_short_documents_have_nothing_to_compare():
    _, tally = scan([sentence(12), "", sentence(13)], [sentence(13)])
    assert [(result.grams, result.dirty) for result in tally.results()] == [(0, False), (0, False), (1, True)]


def test_documents_beyond_the_limit_are_left_out_but_the_first_is_taken():
    config = ContaminationConfig(document_words=50, span_words=30)
    index, _ = scan([sentence(60), sentence(20)], [], config=config)
    assert (index.numbers.tolist(), index.n_documents, index.n_measured) == ([100], 2, 1)
    index, _ = scan([sentence(25), sentence(25, "b"), sentence(20, "c")], [], config=config)
    assert (index.numbers.tolist(), index.n_measured) == ([100, 101], 1)


def test_shares_of_spans_by_length():
    _, tally = scan([sentence(30)], [sentence(15), sentence(9, first=20)])
    shares = tally.span_shares()
    assert {n: (share["k"], share["n"]) for n, share in shares.items()} == {"8": (10, 23), "13": (3, 18), "20": (0, 11)}
    assert shares["8"]["rate"] == 10 / 23
    assert scan([], [sentence(30)])[1].span_shares()["13"] == {"k": 0, "n": 0, "rate": None}


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60), st.lists(st.integers(0, 3), max_size=60), st.integers(0, 5)
)
def test_the_share_is_that_of_a_plain_join(held: list[int], train: list[int], cut: int):
    """With few different words and grams of 4, against sets of tuples."""
    config = ContaminationConfig(
        gram_words=4, whole_words=3, small_gram_words=2, fresh_words=1, boilerplate_items=50, gram_bytes=1
    )
    texts = [" ".join(f"w{n}" for n in words) for words in (held, train)]
    words = train[cut:], train[:cut]
    blocks = [[" ".join(f"w{n}" for n in part)] for part in words]
    _, tally = scan(texts[:1], *blocks, config=config)
    known = {tuple(part[i : i + 4]) for part in words for i in range(len(part) - 3)}
    grams = {tuple(held[i : i + 4]) for i in range(len(held) - 3)}
    (result,) = tally.results()
    assert (result.grams, result.found) == (len(grams), len(grams & known))


def test_other_hashes_with_the_same_value_are_rejected_by_their_words(monkeypatch):
    from picochat.data.contamination import hashing

    monkeypatch.setattr(hashing, "mix", lambda hashes: hashes & np.uint64(0))
    _, tally = scan([sentence(13)], [sentence(40, "other")])
    assert tally.results()[0].found == 0
    _, tally = scan([sentence(13)], [sentence(13)])
    assert tally.results()[0].found == 1
