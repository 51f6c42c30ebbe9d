"""The band: made of what is missed when a size is left out and of the noise between seeds, wider farther away."""

import math
import random

import pytest
from tests.support.ladders import LAW, SIZES, make_ladder

from picochat.evals.scaling.band import T95, leave_sizes_out, measure_band, steps_beyond
from picochat.evals.scaling.law import Law, Point
from picochat.evals.scaling.prediction import predict_loss


def points_of(rungs) -> list[Point]:
    return [Point(r.parameters, r.tokens, r.bpb) for r in rungs if r.purpose == "fit"]


def test_each_size_is_left_out_once_with_all_its_lengths():
    found = leave_sizes_out(points_of(make_ladder(noise=0.01)))
    assert [entry.parameters for entry in found] == list(SIZES)
    assert all(len(entry.residuals) == 3 for entry in found)
    assert any(abs(value) > 1e-4 for entry in found for value in entry.residuals)
    exact = leave_sizes_out(points_of(make_ladder()))
    assert max(abs(value) for entry in exact for value in entry.residuals) < 1e-3


def test_a_size_that_is_off_is_missed_by_as_much_because_its_law_does_not_know_it():
    points = [p._replace(loss=p.loss * 1.05) if p.parameters == SIZES[2] else p for p in points_of(make_ladder())]
    found = {entry.parameters: entry.residuals for entry in leave_sizes_out(points)}
    assert found[SIZES[2]] == pytest.approx([math.log(1.05)] * 3, abs=1e-3)


def test_the_half_width_has_the_parts_that_it_names():
    points = points_of(make_ladder(noise=0.01))
    band = measure_band(points, [2.0, 2.04, 1.98], (755_000, 1_200_000))
    logs = [math.log(value) for value in (2.0, 2.04, 1.98)]
    mean = sum(logs) / 3
    assert band.seed_sd == pytest.approx(math.sqrt(sum((value - mean) ** 2 for value in logs) / 2))
    assert band.t == 2.776 and band.growth == 1 + band.steps_beyond / 2
    assert band.half_log == pytest.approx(2.776 * math.hypot(band.growth * band.left_out_rms, band.seed_sd))
    quiet = measure_band(points, [2.0, 2.0], (755_000, 1_200_000))
    assert quiet.half_log < band.half_log


def test_a_target_farther_away_has_a_wider_band_and_one_inside_none_the_wider():
    points = points_of(make_ladder(noise=0.01))
    growths = [
        measure_band(points, [2.0, 2.0], (size, 1_200_000)).growth for size in (100_000, 343_000, 755_000, 3_430_000)
    ]
    assert growths[0] == growths[1] == 1.0 < growths[2] < growths[3]
    assert measure_band(points, [2.0, 2.0], (10_000, 1_200_000)).growth > 1
    assert measure_band(points, [2.0, 2.0], (100_000, 12_000_000)).growth > 2


def test_distance_is_counted_in_rungs():
    assert steps_beyond([1, 2, 4, 8], 16) == pytest.approx(1)
    assert steps_beyond([1, 2, 4, 8], 8 * 2**3.5) == pytest.approx(3.5)
    assert steps_beyond([8, 1, 2, 4, 4], 0.25) == pytest.approx(2)
    assert steps_beyond([1, 2, 4, 8], 3) == 0


def test_a_ladder_of_many_sizes_uses_the_end_of_the_table():
    sizes = tuple(round(40_000 * 1.2**i) for i in range(18))
    band = measure_band(points_of(make_ladder(sizes=sizes, cuts=(0.5, 1.0))), [2.0, 2.1], (755_000, 1_200_000))
    assert band.t == T95[-1]
    assert list(T95) == sorted(T95, reverse=True)


def test_the_band_covers_what_a_larger_training_comes_to():
    """Made ladders with noise, laws of many kinds, a target 2.2 times the largest size: about 19 in 20 lie inside."""
    rng = random.Random(3)
    inside = 0
    for number in range(12):
        a, b = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6)
        size, data = rng.uniform(0.2, 1) * 1e5**a, rng.uniform(0.2, 1) * 1e6**b
        law = Law(rng.uniform(0.5, 2), size, data, a, b, 0.0)
        noise = rng.choice([0.002, 0.005, 0.01])
        found = predict_loss(make_ladder(law, noise=noise, seed=number), 755_000, 1_200_000)["predicted"]
        measured = law.at(755_000, 1_200_000) * math.exp(rng.gauss(0.0, noise))
        inside += found["low"] <= measured <= found["high"]
        assert found["high"] / found["low"] < 1.35, "and is no wider than it has to be"
    assert inside >= 11


def test_without_noise_the_band_closes_on_the_truth():
    found = predict_loss(make_ladder(), 755_000, 1_200_000)["predicted"]
    assert found["low"] <= found["bpb"] <= found["high"] < found["low"] * 1.002
    assert found["bpb"] == pytest.approx(LAW.at(755_000, 1_200_000), rel=1e-4)
