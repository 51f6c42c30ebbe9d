from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.views.curves.buckets import build_buckets
from picochat.views.curves.smooth import smooth_line, spacing

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60)


def plain(steps: list[float], line: list[float], weight: float) -> list[float]:
    """The definition, point by point."""
    unit = spacing(np.array(steps), [0])
    found = []
    for now in range(len(line)):
        weights = [weight ** ((steps[now] - step) / unit) for step in steps[: now + 1]]
        found.append(math.fsum(w * v for w, v in zip(weights, line, strict=False)) / math.fsum(weights))
    return found


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(1, 300), st.floats(0.002, 0.9999), st.booleans())
def test_a_constant_stays_that_constant(level: float, count: int, weight: float, split: bool) -> None:
    steps = np.arange(1.0, count + 1)
    starts = [0]
    if split and count > 4:
        steps[count // 2 :] -= 2
        starts = [0, count // 2]
    found = smooth_line(steps, np.full(count, level), starts, weight)
    assert np.allclose(found, level, rtol=1e-12, atol=0)


@settings(max_examples=60, deadline=None)
@given(values, st.floats(0.01, 0.999), st.data())
def test_it_is_its_definition_for_any_spacing(line: list[float], weight: float, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 40), min_size=len(line), max_size=len(line)))
    steps = np.cumsum(gaps).astype(float)
    found = smooth_line(steps, np.array(line), [0], weight)
    assert np.allclose(found, plain(steps.tolist(), line, weight), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("weight", [0.002, 0.5, 0.99, 0.9999])
def test_long_curves_stay_in_range(weight: float) -> None:
    steps = np.arange(1.0, 20_001)
    line = np.sin(steps / 50) + 1e4
    found = smooth_line(steps, line, [0], weight)
    assert np.isfinite(found).all() and found.min() >= line.min() and found.max() <= line.max()
    assert found[0] == line[0], "the beginning is not drawn to zero"


def test_in_log_space_a_geometric_curve_keeps_its_factor() -> None:
    steps = np.arange(1.0, 200)
    line = 8 * 0.9**steps
    found = smooth_line(steps, line, [0], 0.8, logarithmic=True)
    settled = found[100:] / line[100:]
    assert np.allclose(settled, settled[0], rtol=1e-6)


def test_an_attempt_goes_on_from_the_step_it_resumed_at() -> None:
    before, again = np.arange(1.0, 101), np.arange(51.0, 121)
    steps, line = np.concatenate((before, again)), np.concatenate((before, again))
    found = smooth_line(steps, line, [0, 100], 0.9)
    whole = smooth_line(np.arange(1.0, 121), np.arange(1.0, 121), [0], 0.9)
    assert np.allclose(found[100:], whole[50:]), "as if there had been one attempt"


def test_no_weight_is_no_smoothing() -> None:
    line = np.array([1.0, 5.0])
    assert smooth_line(np.array([1.0, 2.0]), line, [0], 0.0) is line


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3000), st.integers(16, 400), st.integers(1, 5), st.booleans(), st.data())
def test_no_spike_is_lost_and_no_point_counted_twice(
    count: int, most: int, parts: int, log: bool, data: st.DataObject
) -> None:
    starts = sorted({0, *(count * part // parts for part in range(parts))})
    lengths = np.diff([*starts, count])
    x = np.concatenate([np.arange(1.0, length + 1) for length in lengths])
    place = data.draw(st.integers(0, count - 1))
    line = np.ones(count)
    line[place] = 99.0
    buckets = build_buckets(x, starts, most, logarithmic=log)
    assert len(buckets.first) <= max(most, 2 * len(starts))
    assert buckets.high(line).max() == 99.0 and (buckets.high(line) == 99.0).sum() == 1
    assert buckets.first[0] == 0 and buckets.last[-1] == count - 1
    assert (buckets.first[1:] == buckets.last[:-1] + 1).all(), "all points, once"
    assert {buckets.first[begin] for begin in buckets.begins} == set(starts), "no bucket crosses the border of attempts"


def test_a_full_answer_uses_all_its_buckets() -> None:
    x = np.arange(1.0, 200_001)
    assert len(build_buckets(x, [0], 1500).first) == 1500
    wide = build_buckets(x, [0], 1500, logarithmic=True)
    assert 900 < len(wide.first) <= 1500
    assert wide.last[10] == 10, "the beginning of a logarithmic axis keeps its points"
