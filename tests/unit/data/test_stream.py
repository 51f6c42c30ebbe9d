import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.made_corpus import make_corpus

from picochat.data import stream as stream_module
from picochat.data.mixture import Share, estimate_tokens, resolve_weights
from picochat.data.split import TRAIN, VAL
from picochat.data.stream import DocumentStream, document_fractions

SIDES = [VAL if number % 5 == 2 else TRAIN for number in range(60)]
SOURCES = [number % 3 for number in range(60)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory):
    texts = [f"document {number} " + "word " * (number % 11) for number in range(60)]
    return make_corpus(tmp_path_factory.mktemp("stream"), texts, SIDES, SOURCES).reader


def listed(stream: DocumentStream, part_bytes: int = 200) -> list[int]:
    return [number for part in stream.parts(part_bytes) for number in stream.iter_documents(part)]


def test_without_weights_a_side_stands_once_in_the_order_of_the_corpus(reader):
    for side, value in (("train", TRAIN), ("val", VAL)):
        found = listed(DocumentStream(reader, side, [1.0] * 3))
        assert found == [number for number in range(60) if SIDES[number] == value]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=3, max_size=3), st.integers(1, 5000))
def test_weights_are_copies_and_the_cuts_change_nothing(reader, weights, part_bytes):
    stream = DocumentStream(reader, "train", weights)
    found = listed(stream, part_bytes)
    assert found == listed(stream, 1 << 40)
    counts = np.bincount(found, minlength=60)
    assert np.array_equal(counts, stream.count_by_document())
    fractions = document_fractions(reader.documents)
    for number in range(60):
        weight = weights[SOURCES[number]]
        copies = math.floor(weight) + (fractions[number] < weight - math.floor(weight))
        assert counts[number] == (copies if SIDES[number] == TRAIN else 0)
    totals = stream.count_copies()
    assert totals[:, 1].sum() == len(found) and totals[:, 0].sum() == np.count_nonzero(counts)
    assert totals[:, 2].sum() == sum(int(reader.documents["length"][number]) for number in found)


def test_a_copy_comes_after_all_first_ones(reader):
    found = listed(DocumentStream(reader, "train", [2.0, 1.0, 1.0]), 1 << 40)
    first, second = found[:48], found[48:]
    assert first == sorted(first) and second == sorted(second) and set(second) < set(first)
    assert {SOURCES[number] for number in second} == {0}


def test_a_larger_fraction_keeps_what_a_smaller_one_took(reader):
    quarter, half = (set(listed(DocumentStream(reader, "train", [w] * 3))) for w in (0.25, 0.5))
    assert quarter < half and len(half) < 48


def test_parts_reach_their_size_and_say_what_they_hold(reader):
    stream = DocumentStream(reader, "train", [2.0, 1.0, 0.5])
    parts = list(stream.parts(300))
    assert [part.number for part in parts] == list(range(len(parts)))
    for part in parts:
        numbers = list(stream.iter_documents(part))
        sizes = [int(reader.documents["length"][number]) for number in numbers]
        assert (part.documents, part.bytes) == (len(numbers), sum(sizes))
        assert sum(sizes[:-1]) < 300
    assert {part.copy for part in parts} == {0, 1}
    assert all(part.bytes >= 300 for part, after in zip(parts, parts[1:], strict=False) if after.copy == part.copy)


def test_the_records_are_read_in_blocks(reader, monkeypatch: pytest.MonkeyPatch):
    stream = DocumentStream(reader, "train", [1.5, 1.0, 0.3])
    whole, counts = listed(stream), stream.count_copies()
    monkeypatch.setattr(stream_module, "BLOCK_DOCUMENTS", 7)
    assert listed(stream) == whole and np.array_equal(stream.count_copies(), counts)


def test_the_held_out_side_has_no_weights(reader):
    assert listed(DocumentStream(reader, "val", [3.0, 0.0, 0.5])) == [n for n in range(60) if SIDES[n] == VAL]


def test_a_budget_becomes_a_weight(reader):
    counted = [0, 0]

    def count(text: str) -> int:
        counted[0] += 1
        return len(text.split())

    unique = sum(len(reader.text(n).split()) + 2 for n in range(60) if SOURCES[n] == 1 and SIDES[n] == TRAIN)
    assert abs(estimate_tokens(reader, 1, count) - unique) <= 1
    shares = [Share("a"), Share("b", token_budget=2 * unique), Share("c", 0.5)]
    weights = resolve_weights(reader, shares, count)
    assert (weights[0], weights[2]) == (1.0, 0.5) and abs(weights[1] - 2) < 0.02


def test_a_source_without_train_documents_has_no_weight(tmp_path: Path):
    reader = make_corpus(tmp_path, ["one text", "another text"], [TRAIN, VAL], [0, 1]).reader
    assert resolve_weights(reader, [Share("a"), Share("b", token_budget=10)], len) == [1.0, 0.0]
