import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.memory import TokenDocuments
from picochat.data.packing import pack_best_fit
from picochat.data.rows import CONVERSATION_BASE, IGNORE, JoinedRows, PackedRows, WindowRows

LENGTHS = st.lists(st.integers(2, 20), min_size=1, max_size=12)


def build_windows(lengths: list[int], row_tokens: int) -> tuple[WindowRows, np.ndarray]:
    """Documents of distinct tokens: token t stands at place t of the stream. Their numbers in the corpus are odd."""
    tokens = np.arange(sum(lengths))
    starts = np.cumsum([0, *lengths])[:-1]
    documents = 2 * np.arange(len(lengths)) + 1
    return WindowRows(TokenDocuments(tokens, starts, documents), row_tokens), starts


@given(LENGTHS, st.integers(2, 9))
def test_windows_cover_the_stream_once_and_targets_are_the_next_token(lengths, row_tokens):
    rows, _ = build_windows(lengths, row_tokens)
    assert len(rows) == (sum(lengths) - 1) // row_tokens
    if len(rows) == 0:
        return
    block = rows.take(np.arange(len(rows)))
    assert block.tokens.flatten().tolist() == list(range(len(rows) * row_tokens))
    assert np.array_equal(block.targets, block.tokens + 1)
    assert {table.dtype for table in (block.tokens, block.targets, block.segments)} == {np.dtype(np.int64)}


@given(LENGTHS, st.integers(2, 9))
def test_segments_change_exactly_where_documents_do_and_are_never_padding(lengths, row_tokens):
    rows, starts = build_windows(lengths, row_tokens)
    for row in range(len(rows)):
        block = rows.take(np.array([row]))
        owners = np.searchsorted(starts, block.tokens[0], side="right")
        assert block.segments.min() > 0
        assert np.array_equal(np.diff(block.segments[0]) != 0, np.diff(owners) != 0)


@given(LENGTHS, st.integers(2, 9), st.data())
def test_spans_name_exactly_the_tokens_of_their_rows(lengths, row_tokens, data):
    rows, starts = build_windows(lengths, row_tokens)
    if len(rows) == 0:
        return
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5)))
    block = rows.take(chosen)
    named = [
        token
        for document, offset, length in block.spans.tolist()
        for token in range(starts[document // 2] + offset, starts[document // 2] + offset + length)
    ]
    assert named == block.tokens.flatten().tolist()
    assert (block.spans[:, 2] > 0).all()


@given(st.lists(st.integers(1, 16), max_size=40))
def test_packing_places_every_item_once_and_never_overflows(lengths):
    rows = pack_best_fit(lengths, 16)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[item] for item in row) <= 16 for row in rows)


@given(st.lists(st.integers(1, 16), min_size=1, max_size=40))
def test_no_two_rows_could_have_been_one(lengths):
    """Best fit opens a row only when no open one holds the item: at most one row is half empty."""
    rows = pack_best_fit(lengths, 16)
    assert sum(2 * sum(lengths[item] for item in row) <= 16 for row in rows) <= 1


def test_an_item_goes_to_the_fullest_row_that_holds_it():
    assert pack_best_fit([9, 12, 4, 7], 16) == [[0, 3], [1, 2]]
    assert pack_best_fit([], 16) == []


@pytest.mark.parametrize("lengths", [[17], [3, 0], [-1]])
def test_an_item_that_no_row_holds_is_an_error(lengths):
    with pytest.raises(ValueError, match=f"item {len(lengths) - 1} has {lengths[-1]} tokens, a row has 16"):
        pack_best_fit(lengths, 16)


@given(st.lists(st.integers(2, 12), min_size=1, max_size=15), st.randoms(use_true_random=False))
def test_packed_items_stand_whole_in_one_segment_with_their_targets_shifted_and_masked(lengths, rng):
    items, at = [], 100
    for length in lengths:
        items.append((list(range(at, at + length)), [rng.random() < 0.5 for _ in range(length)]))
        at += length
    rows = PackedRows(items, [CONVERSATION_BASE + i for i in range(len(items))], 11, pad=7)
    block = rows.take(np.arange(len(rows)))
    seen = []
    spans = iter(block.spans.tolist())
    for tokens, targets, segments in zip(block.tokens, block.targets, block.segments, strict=True):
        for segment in range(1, segments.max() + 1):
            number, offset, length = next(spans)
            ids, mask = items[number - CONVERSATION_BASE]
            place = segments == segment
            assert np.all(np.diff(np.flatnonzero(place)) == 1)
            assert (offset, length) == (0, len(ids) - 1)
            assert tokens[place].tolist() == ids[:-1]
            wanted = [id_ if shown else IGNORE for id_, shown in zip(ids[1:], mask[1:], strict=True)]
            assert targets[place].tolist() == wanted
            seen.append(number - CONVERSATION_BASE)
        padding = segments == 0
        assert (tokens[padding] == 7).all() and (targets[padding] == IGNORE).all()
    assert sorted(seen) == list(range(len(items)))


def build_joined(extra_rows: int) -> tuple[JoinedRows, PackedRows, WindowRows]:
    packed = PackedRows([([1, 2, 3, 4, 5], [True] * 5)] * 3, [CONVERSATION_BASE + i for i in range(3)], 4, pad=0)
    windows, _ = build_windows([10, 11, 12], 4)
    return JoinedRows(packed, windows, extra_rows), packed, windows


def test_joined_rows_are_all_of_the_first_and_evenly_spaced_ones_of_the_second():
    joined, packed, windows = build_joined(4)
    assert (len(packed), len(windows), len(joined), joined.row_tokens) == (3, 8, 7, 4)
    everything = joined.take(np.arange(7))
    assert np.array_equal(everything.tokens[:3], packed.take(np.arange(3)).tokens)
    assert np.array_equal(everything.tokens[3:], windows.take(np.array([0, 2, 4, 6])).tokens)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_joined_rows_come_in_the_order_in_which_they_are_asked_for(numbers):
    joined, _, _ = build_joined(4)
    block = joined.take(np.array(numbers))
    single = [joined.take(np.array([number])) for number in numbers]
    for name in ("tokens", "targets", "segments", "spans"):
        assert np.array_equal(getattr(block, name), np.concatenate([getattr(one, name) for one in single])), name


def test_rows_of_two_lengths_are_not_joined():
    windows, _ = build_windows([10], 4)
    other, _ = build_windows([10], 5)
    with pytest.raises(ValueError, match="rows of 4 and of 5 tokens"):
        JoinedRows(windows, other, 1)
