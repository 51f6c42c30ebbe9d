"""The law is found again from losses that follow it; the small least-squares problem has its one answer."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ladders import LAW, make_ladder

from picochat.evals.scaling.law import Law, Point, fit_huber, fit_law, nonnegative_least_squares

FINITE = st.floats(-4, 4, allow_nan=False)


def points_of(law: Law, **more) -> list[Point]:
    return [Point(r.parameters, r.tokens, r.bpb) for r in make_ladder(law, **more) if r.purpose == "fit"]


@pytest.mark.parametrize("a", [0.2, 0.35, 0.5, 0.9])
@pytest.mark.parametrize("b", [0.25, 0.33, 0.6])
@pytest.mark.parametrize("floor", [0.0, 0.7, 2.0])
def test_known_exponents_are_recovered(a: float, b: float, floor: float):
    true = Law(floor, 0.5 * 1e5**a, 0.4 * 1e6**b, a, b, 0.0)
    found = fit_law(points_of(true))
    assert (found.size_exponent, found.data_exponent) == pytest.approx((a, b), abs=0.0051)
    assert found.floor == pytest.approx(floor, abs=0.02)
    assert found.at(755_000, 1_200_000) == pytest.approx(true.at(755_000, 1_200_000), rel=1e-3)
    assert found.residual < 1e-4


def test_noise_moves_the_answer_by_little():
    true = LAW.at(755_000, 1_200_000)
    errors = [fit_law(points_of(LAW, noise=0.003, seed=seed)).at(755_000, 1_200_000) / true - 1 for seed in range(20)]
    assert max(map(abs, errors)) < 0.03 and abs(sum(errors) / 20) < 0.01


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10))
def test_another_unit_of_loss_is_another_unit_of_the_law(factor: float):
    points = points_of(LAW, noise=0.004)
    law, scaled = fit_law(points), fit_law([p._replace(loss=p.loss * factor) for p in points])
    assert scaled[3:5] == law[3:5]
    assert scaled[:3] == pytest.approx([value * factor for value in law[:3]], rel=1e-6)


def test_nothing_is_negative_even_where_more_parameters_hurt():
    rising = [p._replace(loss=2 + 0.1 * math.log10(p.parameters)) for p in points_of(LAW)]
    law = fit_law(rising)
    assert min(law[:3]) >= 0 and law.at(1e6, 1e6) == pytest.approx(2.5, abs=0.1)


def test_one_spoiled_rung_moves_the_robust_law_less():
    points = points_of(LAW)
    spoiled = [p._replace(loss=p.loss * 1.1) if i == len(points) - 1 else p for i, p in enumerate(points)]
    true = LAW.at(755_000, 1_200_000)
    plain, robust = (abs(fit(spoiled).at(755_000, 1_200_000) / true - 1) for fit in (fit_law, fit_huber))
    assert plain > 0.02 and robust < plain / 4
    assert fit_huber(points).at(755_000, 1_200_000) == pytest.approx(true, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
@pytest.mark.parametrize("field", ["parameters", "tokens", "loss"])
def test_no_law_goes_through_what_is_no_number(bad: float, field: str):
    points = points_of(LAW)
    with pytest.raises(ValueError):
        fit_law([*points, points[0]._replace(**{field: bad})])
    with pytest.raises(ValueError):
        fit_law([])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE, FINITE, FINITE), min_size=4, max_size=12))
def test_the_solution_is_the_best_of_all_that_are_not_negative(rows: list[tuple[float, ...]]):
    """No step that stays non-negative makes the sum of squares smaller: the problem is convex, so that is the best."""
    table = np.array(rows)
    columns, target = table[:, :3], table[:, 3]
    if np.linalg.cond(columns) > 1e4:
        return
    (solution,), (square,) = nonnegative_least_squares(columns[None], target)
    assert (solution >= 0).all()
    assert square == pytest.approx(float(((columns @ solution - target) ** 2).sum()), abs=1e-9)
    gradient = columns.T @ (columns @ solution - target)
    size = 1e-7 * (1 + np.abs(columns).sum() * (1 + np.abs(target).sum()))
    assert (gradient > -size).all() and (np.abs(gradient[solution > 0]) < size).all()


def test_columns_that_are_the_same_are_told_apart_by_nobody():
    columns = np.ones((1, 5, 3))
    (solution,), (square,) = nonnegative_least_squares(columns, np.arange(5.0))
    assert np.isfinite(solution).all() and solution.sum() == pytest.approx(2.0) and square == pytest.approx(10.0)
