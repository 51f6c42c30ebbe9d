from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, parse_json
from picochat.data.batches import BatchStream
from picochat.data.memory import TokenDocuments
from picochat.data.order import SampleOrder
from picochat.data.rows import IGNORE, PackedRows, WindowRows

SOURCE = WindowRows(TokenDocuments(np.arange(101), np.array([0, 30]), np.array([0, 1])), 5)


def build_stream(**options) -> BatchStream:
    order = SampleOrder(len(SOURCE), 1).samples_at
    return BatchStream(SOURCE, order, **({"micro_batch_size": 3, "micro_batches": 2} | options))


def test_a_step_is_its_micro_batches_in_tensors():
    stream = build_stream()
    batches = stream.draw_step()
    assert [tuple(batch.tokens_BT.shape) for batch in batches] == [(3, 5), (3, 5)]
    assert (stream.sequences_per_step, stream.tokens_per_step) == (6, 30)
    for batch in batches:
        assert torch.equal(batch.targets_BT, batch.tokens_BT + 1)
        assert batch.tokens_BT.dtype == torch.int64
        assert batch.num_targets == batch.num_tokens == 15
        assert batch.segments_BT is not None and batch.spans[:, 2].sum() == 15
    assert build_stream(document_mask=False).draw_step()[0].segments_BT is None


def test_masked_targets_are_not_counted():
    rows = PackedRows([([1, 2, 3], [False, False, True])], [0], 4, pad=0)
    batch = BatchStream(rows, lambda n: n * 0, micro_batch_size=1, micro_batches=1).draw_step()[0]
    assert batch.targets_BT.tolist() == [[IGNORE, 3, IGNORE, IGNORE]]
    assert (batch.num_targets, batch.num_tokens) == (1, 4)


@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (4, 3), (3, 4)])
def test_the_order_of_rows_knows_nothing_of_accumulation(shape):
    size, count = shape
    one = build_stream(micro_batch_size=12, micro_batches=1)
    other = build_stream(micro_batch_size=size, micro_batches=count)
    for _ in range(4):
        whole = one.draw_step()[0].tokens_BT
        assert torch.equal(whole, torch.cat([batch.tokens_BT for batch in other.draw_step()]))


def test_every_row_comes_once_an_epoch():
    stream = build_stream(micro_batch_size=5, micro_batches=2)
    for _ in range(2):
        first = [row for _ in range(2) for batch in stream.draw_step() for row in batch.tokens_BT[:, 0].tolist()]
        assert sorted(first) == list(range(0, 100, 5))
    assert stream.epoch == 2.0


@given(st.integers(0, 6), st.integers(1, 4))
def test_a_restored_position_draws_the_next_rows(before, after):
    stream = build_stream()
    for _ in range(before):
        stream.draw_step()
    again = build_stream()
    again.load_state_dict(parse_json(canonical_json(stream.state_dict()), "x"))
    for _ in range(after):
        for a, b in zip(stream.draw_step(), again.draw_step(), strict=True):
            assert torch.equal(a.tokens_BT, b.tokens_BT) and np.array_equal(a.spans, b.spans)
    assert again.state_dict() == stream.state_dict()


def test_a_position_among_other_rows_is_refused():
    state = build_stream().state_dict() | {"rows": 1234}
    with pytest.raises(PicochatError) as caught:
        build_stream().load_state_dict(state)
    assert caught.value.code == "data.position"
    assert "1,234 rows, there are 20 now" in caught.value.detail


def test_a_source_without_a_row_is_refused():
    empty = WindowRows(TokenDocuments(np.arange(5), np.array([0]), np.array([0])), 5)
    with pytest.raises(PicochatError) as caught:
        BatchStream(empty, lambda n: n, micro_batch_size=1, micro_batches=1)
    assert caught.value.code == "data.too_small"


@given(st.integers(0, 5), st.integers(1, 7), st.integers(1, 3))
def test_reading_ahead_changes_neither_rows_nor_position(before, after, ahead):
    plain, eager = build_stream(), build_stream(prefetch=ahead)
    for _ in range(before):
        plain.draw_step()
        eager.draw_step()
    assert eager.state_dict() == plain.state_dict(), "the position is that of what was handed out"
    again = build_stream(prefetch=ahead)
    again.draw_step()  # what was read ahead before a resume is thrown away
    again.load_state_dict(eager.state_dict())
    for _ in range(after):
        for a, b, c in zip(plain.draw_step(), eager.draw_step(), again.draw_step(), strict=True):
            assert torch.equal(a.tokens_BT, b.tokens_BT) and torch.equal(a.tokens_BT, c.tokens_BT)


def test_an_error_of_the_reading_thread_is_raised_by_the_draw_that_needed_it():
    class Broken:
        row_tokens = 5

        def __len__(self) -> int:
            return 20

        def take(self, rows, epochs=None):
            if 12 <= rows[0] < 18:
                raise OSError("unreadable")
            return SOURCE.take(rows, epochs)

    stream = BatchStream(Broken(), lambda n: n, micro_batch_size=3, micro_batches=2, prefetch=3)
    stream.draw_step()
    stream.draw_step()
    with pytest.raises(OSError, match="unreadable"):
        stream.draw_step()


@pytest.mark.parametrize("key", ["epoch", "row", "at"])
def test_a_position_that_contradicts_itself_is_refused(key):
    stream = build_stream()
    stream.draw_step()
    state = stream.state_dict()
    with pytest.raises(PicochatError) as caught:
        build_stream().load_state_dict(state | {key: [7, 7, 7] if key == "at" else 7})
    assert caught.value.code == "data.position" and key in caught.value.detail


def test_the_position_names_the_next_row_and_its_document():
    stream = build_stream(micro_batch_size=5, micro_batches=2)
    for _ in range(3):
        stream.draw_step()
    state = stream.state_dict()
    row = SampleOrder(len(SOURCE), 1).sample_at(30)
    assert (state["next_sample"], state["epoch"], state["row"]) == (30, 1, row)
    document = 0 if row * 5 < 30 else 1
    assert state["at"] == [document, row * 5 - 30 * document, 5]


def test_each_sample_is_drawn_in_its_own_epoch():
    """20 rows an epoch, 6 a step: the fourth step takes two rows of the first epoch and four of the second."""
    drawn = []

    class Recording(WindowRows):
        def take(self, rows, epochs=None):
            drawn.append(None if epochs is None else epochs.tolist())
            return super().take(rows, epochs)

    source = Recording(TokenDocuments(np.arange(101), np.array([0]), np.array([0])), 5)
    stream = BatchStream(source, lambda n: n % 20, micro_batch_size=6, micro_batches=1)
    for _ in range(4):
        stream.draw_step()
    assert drawn == [[0] * 6, [0] * 6, [0] * 6, [0, 0, 1, 1, 1, 1]]


def test_positions_that_begin_again_travel_with_the_mask():
    class Restarting(WindowRows):
        def take(self, rows, epochs=None):
            block = super().take(rows, epochs)
            return replace(block, positions=np.zeros_like(block.tokens))

    source = Restarting(TokenDocuments(np.arange(101), np.array([0]), np.array([0])), 5)
    stream = BatchStream(source, lambda n: n % 20, micro_batch_size=2, micro_batches=1)
    (batch,) = stream.draw_step()
    assert batch.positions_BT is not None and not batch.positions_BT.any()
    assert stream.blank().positions_BT is not None
    unmasked = BatchStream(source, lambda n: n % 20, micro_batch_size=2, micro_batches=1, document_mask=False)
    assert unmasked.draw_step()[0].positions_BT is None and unmasked.blank().positions_BT is None
    assert build_stream().blank().positions_BT is None
