"""Paired rows: counts, the interval of a difference by its laws and its coverage, and the spread over runs."""

from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.paired import Paired, difference_interval, pair_rows, spread_of, template_interval
from picochat.evals.statistics import wilson

COUNTS = st.integers(0, 120)
PAIRS = st.builds(Paired, COUNTS, COUNTS, COUNTS, COUNTS)


def test_rows_are_counted_by_who_passed_them() -> None:
    found = pair_rows([True, True, False, False, True], [True, False, True, False, False])
    assert found == Paired(both=1, only_first=2, only_second=1, neither=1)
    assert (found.n, found.difference) == (5, -0.2)
    with pytest.raises(ValueError):
        pair_rows([True], [])


@given(PAIRS)
def test_the_interval_holds_the_difference_and_turns_with_it(found: Paired) -> None:
    low, high = difference_interval(found)
    assert -1 <= low <= high <= 1
    if found.n:
        assert low - 1e-12 <= found.difference <= high + 1e-12
    turned = difference_interval(Paired(found.both, found.only_second, found.only_first, found.neither))
    assert turned == pytest.approx((-high, -low), abs=1e-12)
    swapped = difference_interval(Paired(found.neither, found.only_first, found.only_second, found.both))
    assert swapped == pytest.approx((low, high), abs=1e-9), "counting failures in place of passes"


def test_without_correlation_it_is_the_interval_of_two_samples() -> None:
    """Newcombe's method 10 with phi 0 is his method 6 for unpaired rates: squares of the distances to the bounds."""
    low, high = difference_interval(Paired(both=25, only_first=25, only_second=25, neither=25))
    bound_low, bound_high = wilson(50, 100)
    assert (low, high) == pytest.approx((-((2 * (0.5 - bound_low) ** 2) ** 0.5), (2 * (bound_high - 0.5) ** 2) ** 0.5))


def test_rows_that_agree_make_it_narrow() -> None:
    apart = difference_interval(Paired(50, 50, 50, 50))
    together = difference_interval(Paired(95, 5, 5, 95))
    assert together[1] - together[0] < (apart[1] - apart[0]) / 2


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.1), (0.15, 0.05), (0.05, 0.3)])
def test_it_covers_the_truth_95_times_in_100(first: float, second: float) -> None:
    """Exact: every outcome of 30 rows, weighed by its probability. `both` and `neither` share what is left."""
    n, rest = 30, (1 - first - second) / 2
    covered = 0.0
    for b, c in product(range(n + 1), repeat=2):
        for a in range(n - b - c + 1):
            d = n - a - b - c
            weight = comb(n, b) * comb(n - b, c) * comb(n - b - c, a) * first**b * second**c * rest ** (a + d)
            low, high = difference_interval(Paired(a, b, c, d))
            covered += weight * (low <= second - first <= high)
    assert 0.93 <= covered <= 0.99


def test_templates_that_swing_widen_the_interval() -> None:
    """Four templates of 50 rows: in two the second run passes all alone, in one the first does."""
    templates = [place // 50 for place in range(200)]
    first = [template == 2 for template in templates]
    second = [template < 2 for template in templates]
    low, high = template_interval(first, second, templates) or (0.0, 0.0)
    rows = difference_interval(pair_rows(first, second))
    assert low < rows[0] and high > rows[1]
    assert template_interval(first, second, [0] * 200) is None
    assert template_interval([True, True], [True, True], [0, 1]) is None, (
        "no template differs, so none can say how much"
    )


def test_the_spread_is_that_of_a_sample() -> None:
    assert spread_of([0.5, 0.7, 0.6]) == pytest.approx({"mean": 0.6, "sd": 0.1, "min": 0.5, "max": 0.7})
