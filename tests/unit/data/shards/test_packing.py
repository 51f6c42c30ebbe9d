import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.shards.packing import PackedRow, Piece, iter_overlapping, pack_best_fit_crop, pack_no_crop

LENGTHS = st.lists(st.integers(2, 60), max_size=60)


def made(lengths: list[int]) -> list[Piece]:
    """Documents of distinct tokens: 1000 times the document's number, plus the place."""
    return [Piece(number, 0, 1000 * number + np.arange(length)) for number, length in enumerate(lengths)]


@given(LENGTHS, st.integers(2, 20), st.integers(1, 9))
def test_best_fit_fills_every_row_and_places_each_document_once(lengths, capacity, buffer):
    rows = list(pack_best_fit_crop(made(lengths), capacity, buffer))
    placed = [piece.document for row in rows for piece in row.pieces]
    assert sorted(placed) == list(range(len(lengths)))
    assert all(row.length == capacity for row in rows if row.cropped)
    assert sum(row.length != capacity for row in rows) <= buffer
    for row in rows:
        for piece in row.pieces:
            assert piece.offset == 0
            assert piece.tokens.tolist() == [1000 * piece.document + i for i in range(len(piece.tokens))]
        assert all(len(piece.tokens) == lengths[piece.document] for piece in row.pieces[:-1])
    assert sum(row.length + row.cropped for row in rows) == sum(lengths)


def test_the_longest_that_fits_goes_in_else_the_shortest_is_cut():
    rows = list(pack_best_fit_crop(made([7, 3, 5, 9, 4]), 10, 1024))
    assert [[piece.document for piece in row.pieces] for row in rows] == [[3, 1], [0, 4], [2]]
    assert [[len(piece.tokens) for piece in row.pieces] for row in rows] == [[9, 1], [7, 3], [5]]
    assert [row.cropped for row in rows] == [2, 1, 0]


def test_a_document_longer_than_a_row_is_cut_to_one_row():
    (row,) = pack_best_fit_crop(made([25]), 10)
    assert (row.length, row.cropped) == (10, 15)


@given(LENGTHS, st.integers(2, 20), st.integers(1, 9))
def test_without_cropping_every_target_stands_once(lengths, capacity, group):
    targets: list[tuple[int, int]] = []
    for row in pack_no_crop(made(lengths), capacity, group):
        assert 0 < row.length <= capacity and row.cropped == 0
        for piece in row.pieces:
            assert piece.tokens[0] == 1000 * piece.document + piece.offset
            targets += [(piece.document, piece.offset + i) for i in range(1, len(piece.tokens))]
    assert sorted(targets) == [(d, i) for d, length in enumerate(lengths) for i in range(1, length)]


@pytest.mark.parametrize(
    ("length", "spans"),
    [
        (2, [(0, 2)]),
        (10, [(0, 10)]),
        (11, [(0, 10), (9, 2)]),
        (19, [(0, 10), (9, 10)]),
        (20, [(0, 10), (9, 10), (18, 2)]),
    ],
)
def test_pieces_overlap_by_one_token(length, spans):
    (document,) = made([length])
    assert [(piece.offset, len(piece.tokens)) for piece in iter_overlapping(document, 10)] == spans


def test_without_cropping_little_of_a_row_is_left():
    lengths = np.random.default_rng(3).lognormal(5, 1, 4000).astype(int) + 2
    rows = list(pack_no_crop(made(lengths.tolist()), 513))
    assert 1 - sum(row.length for row in rows) / (513 * len(rows)) < 0.01


def test_nothing_gives_no_rows():
    assert list(pack_best_fit_crop([], 8)) == [] and list(pack_no_crop([], 8)) == []
    assert PackedRow([], 0).length == 0
