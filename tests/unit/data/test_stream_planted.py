"""Planted documents in the stream of an epoch: as often as their weight says, far from one another, in one pass."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.data import stream as stream_module
from picochat.data.corpus import FLAG_CANARY, CorpusReader, Document, corpus_writer
from picochat.data.shards.packing import Piece, pack_best_fit_crop
from picochat.data.split import TRAIN, VAL
from picochat.data.stream import DocumentStream

N_FOUND = 60
COPIES = [1.0, 4.0, 16.0]
WEIGHTS = [1.0, 0.5, *COPIES]


def write(folder: Path, n_found: int = N_FOUND) -> CorpusReader:
    paths = folder / "c.txt", folder / "c.bin"
    with corpus_writer(*paths) as writer:
        for number in range(n_found):
            writer.add(Document(f"found {number} " * 5, number % 2, VAL if number % 7 == 3 else TRAIN, number))
        for number in range(6):
            writer.add(Document(f"planted {number}", 2 + number // 2, TRAIN, 100 + number, FLAG_CANARY))
    return CorpusReader(*paths)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> CorpusReader:
    return write(tmp_path_factory.mktemp("planted"))


def listed(stream: DocumentStream, part_bytes: int) -> list[int]:
    return [number for part in stream.parts(part_bytes) for number in stream.iter_documents(part)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4000), st.sampled_from([3, 8, 1 << 18]))
def test_copies_are_counted_and_cuts_change_nothing(reader, part_bytes, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_module, "BLOCK_DOCUMENTS", block)
        stream = DocumentStream(reader, "train", WEIGHTS)
        found = listed(stream, part_bytes)
        counts = np.bincount(found, minlength=len(reader))
        assert counts[N_FOUND:].tolist() == [1, 1, 4, 4, 16, 16]
        assert np.array_equal(counts, stream.count_by_document())
        parts = list(stream.parts(part_bytes))
        assert sum(part.documents for part in parts) == len(found)
        assert sum(part.bytes for part in parts) == sum(int(reader.documents["length"][n]) for n in found)
    assert found == listed(DocumentStream(reader, "train", WEIGHTS), 1 << 40)


def test_many_copies_need_no_passes_of_their_own_and_the_others_keep_their_order(reader):
    stream = DocumentStream(reader, "train", WEIGHTS)
    assert stream.passes == 1 and {part.copy for part in stream.parts(100)} == {0}
    assert DocumentStream(reader, "train", [3.0, 1.0, *COPIES]).passes == 3
    found = [number for number in listed(stream, 500) if number < N_FOUND]
    without = DocumentStream(reader, "train", [1.0, 0.5, 0.0, 0.0, 0.0])
    assert found == listed(without, 500) == sorted(found)


def test_copies_of_a_fact_are_spread_over_the_epoch(tmp_path):
    found = listed(DocumentStream(write(tmp_path, 2000), "train", [1.0, 1.0, 1.0, 4.0, 64.0]), 1 << 40)
    places = [place for place, number in enumerate(found) if number == 2005]
    assert len(places) == 64
    quarters = np.bincount([4 * place // len(found) for place in places], minlength=4)
    assert quarters.min() >= 6
    assert np.median(np.diff(places)) > 8


def test_the_held_out_side_never_holds_one(reader):
    found = listed(DocumentStream(reader, "val", WEIGHTS), 100)
    assert found == [number for number in range(N_FOUND) if number % 7 == 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60), st.integers(4, 20), st.integers(1, 12))
def test_packing_cuts_no_whole_document_that_fits_into_a_row(items, capacity, buffer):
    pieces = [Piece(n, 0, np.full(length, n), whole) for n, (length, whole) in enumerate(items)]
    rows = list(pack_best_fit_crop(pieces, capacity, buffer))
    placed = [piece for row in rows for piece in row.pieces]
    assert sorted(piece.document for piece in placed) == list(range(len(items)))
    for row in rows:
        assert 0 < row.length <= capacity
    for piece in placed:
        length, whole = items[piece.document]
        if whole and length <= capacity:
            assert len(piece.tokens) == length
    if not any(whole for _, whole in items):
        assert all(row.length == capacity for row in rows[:-1])
