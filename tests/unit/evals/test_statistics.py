"""Intervals and threshold answers against published tables, exact values and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.statistics import (
    aggregate_interval,
    chance_adjusted,
    chance_adjusted_interval,
    cluster_interval,
    count_discordant,
    holm,
    judge_rate,
    mcnemar_exact,
    wilson,
)

PASSES_NEEDED = {
    100: {0.30: 39, 0.40: 50, 0.50: 60, 0.60: 70, 0.70: 79, 0.75: 84, 0.80: 88},
    200: {0.30: 73, 0.40: 94, 0.50: 114, 0.60: 134, 0.70: 153, 0.75: 163, 0.80: 172},
    400: {0.30: 138, 0.40: 180, 0.50: 220, 0.60: 260, 0.70: 298, 0.75: 317, 0.80: 336},
}
ECHOES_ALLOWED = {100: 0, 200: 3, 400: 11}
counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("n", "threshold", "needed"), [(n, t, k) for n, row in PASSES_NEEDED.items() for t, k in row.items()]
)
def test_passes_needed_at_each_threshold(n: int, threshold: float, needed: int) -> None:
    assert judge_rate(needed, n, threshold, ">=", 100) == "pass"
    assert judge_rate(needed - 1, n, threshold, ">=", 100) == "warn"


@pytest.mark.parametrize(("n", "allowed"), ECHOES_ALLOWED.items())
def test_echoes_allowed_at_five_percent(n: int, allowed: int) -> None:
    assert judge_rate(allowed, n, 0.05, "<=", 100) == "pass"
    assert judge_rate(allowed + 1, n, 0.05, "<=", 100) == "warn"


def test_the_point_on_the_threshold_warns_and_below_it_blocks() -> None:
    assert judge_rate(30, 100, 0.30, ">=", 100) == "warn"
    assert judge_rate(29, 100, 0.30, ">=", 100) == "block"
    assert judge_rate(5, 100, 0.05, "<=", 100) == "warn"
    assert judge_rate(6, 100, 0.05, "<=", 100) == "block"


def test_too_few_rows_are_not_run() -> None:
    assert judge_rate(99, 99, 0.30, ">=", 100) == "not_run"
    assert judge_rate(0, 0, 0.30, ">=", 0) == "not_run"


def test_wilson_known_values() -> None:
    assert wilson(182, 200) == pytest.approx((0.8622, 0.9423), abs=2e-4)
    assert wilson(0, 100)[0] == 0.0 and wilson(100, 100)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)
    for k, n in ((5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="trials"):
            wilson(k, n)


@given(counts)
def test_wilson_lies_in_0_1_and_contains_the_rate(count: tuple[int, int]) -> None:
    k, n = count
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


@given(counts)
def test_wilson_rises_with_k_and_narrows_with_n(count: tuple[int, int]) -> None:
    k, n = count
    if k < n:
        assert wilson(k, n)[0] <= wilson(k + 1, n)[0] and wilson(k, n)[1] <= wilson(k + 1, n)[1]
    narrow, wide = wilson(4 * k, 4 * n), wilson(k, n)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


@given(counts, st.floats(0.01, 0.99))
def test_more_passes_never_give_a_worse_answer(count: tuple[int, int], threshold: float) -> None:
    order = ["block", "warn", "pass"]
    k, n = count
    here = [order.index(judge_rate(i, n, threshold, ">=", 1)) for i in (max(k - 1, 0), k)]
    assert here[0] <= here[1]


def test_chance_adjusted_scale() -> None:
    assert chance_adjusted(0.3625, 0.25) == pytest.approx(0.15)
    assert chance_adjusted(0.65, 0.5) == pytest.approx(0.30)
    assert chance_adjusted(0.25, 0.25) == 0 and chance_adjusted(1, 0.25) == 1
    assert chance_adjusted_interval((0.5, 0.75), 0.5) == (0, 0.5)
    with pytest.raises(ValueError, match="chance"):
        chance_adjusted(0.5, 1.0)


def test_mcnemar_published_values() -> None:
    assert mcnemar_exact(0, 5) == pytest.approx(0.0625)
    assert mcnemar_exact(6, 0) == pytest.approx(0.03125)
    assert mcnemar_exact(0, 0) == 1 and mcnemar_exact(7, 7) == 1
    assert mcnemar_exact(2, 8) == mcnemar_exact(8, 2) == pytest.approx(2 * 56 / 1024)
    assert count_discordant([True, True, False, False], [True, False, True, True]) == (1, 2)


def test_holm_steps_down_and_never_below_an_earlier_one() -> None:
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert list(holm({"z": 0.5, "a": 0.1})) == ["z", "a"]


def test_clustered_rows_have_a_wider_interval_than_independent_ones() -> None:
    passed = [template < 6 for template in range(10) for _ in range(20)]
    clustered = cluster_interval(passed, [i // 20 for i in range(200)])
    independent = cluster_interval(passed, range(200))
    assert clustered is not None and independent is not None
    assert clustered == pytest.approx((0.3, 0.9), abs=0.051)
    assert independent == pytest.approx(wilson(120, 200), abs=0.02)
    assert clustered == cluster_interval(passed, [i // 20 for i in range(200)])


def test_cluster_interval_without_variation_or_clusters() -> None:
    assert cluster_interval([True] * 40, [i // 10 for i in range(40)]) == wilson(4, 4)
    assert cluster_interval([False] * 40, [i // 10 for i in range(40)]) == wilson(0, 4)
    assert cluster_interval([True, False], ["a", "a"]) is None


def test_aggregate_interval_is_the_spread_of_the_mean_over_tasks() -> None:
    interval = aggregate_interval([(50, 100), (90, 100)])
    half = 1.96 * (0.5 * 0.5 / 100 + 0.9 * 0.1 / 100) ** 0.5 / 2
    assert interval == pytest.approx((0.7 - half, 0.7 + half), abs=0.006)
    assert aggregate_interval([(10, 10), (20, 20)]) == wilson(30, 30)
    assert aggregate_interval([]) is None
