import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.data.order import SampleOrder

GOLDEN = [9, 3, 6, 0, 7, 5, 4, 1, 8, 2, 7, 4, 8, 3, 9, 0, 6, 2, 1, 5]


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(0, 2**63), st.integers(0, 50))
def test_every_epoch_is_a_bijection(n_items, seed, epoch):
    items = SampleOrder(n_items, seed).samples_at(np.arange(n_items) + epoch * n_items)
    assert np.array_equal(np.sort(items), np.arange(n_items))


def test_the_order_differs_by_epoch_and_by_seed():
    first = SampleOrder(1000, 1).samples_at(np.arange(2000))
    assert not np.array_equal(first[:1000], first[1000:])
    assert not np.array_equal(first[:1000], SampleOrder(1000, 2).samples_at(np.arange(1000)))
    assert not np.array_equal(first[:1000], np.arange(1000))


@given(st.integers(1, 500), st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_a_sample_depends_on_its_number_alone(n_items, numbers):
    order = SampleOrder(n_items, 7)
    together = order.samples_at(np.array(numbers))
    assert [order.sample_at(number) for number in numbers] == together.tolist()


def test_the_order_is_fixed_for_all_time():
    assert SampleOrder(10, 1).samples_at(np.arange(20)).tolist() == GOLDEN


def test_neighbours_are_spread():
    items = SampleOrder(100_000, 3).samples_at(np.arange(100_000))
    assert abs(np.corrcoef(items, np.arange(100_000))[0, 1]) < 0.02
    assert np.mean(np.abs(np.diff(items)) < 100) < 0.01


def test_a_very_large_set_needs_no_list():
    order = SampleOrder(10**12, 5)
    items = order.samples_at(np.arange(1000) + 3 * 10**12)
    assert len(set(items.tolist())) == 1000
    assert items.min() >= 0 and items.max() < 10**12


def test_an_order_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        SampleOrder(0, 1)
