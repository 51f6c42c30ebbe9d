from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pages import Page

from picochat.views.report.charts import HEIGHT, WIDTH, Series, build_scale, draw_chart, format_tick

numbers = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 6))


def chart(*series: Series) -> Page:
    drawn = draw_chart("a", "title", "what is to be seen", series, "nats")
    assert drawn is not None
    return Page.of(drawn)


def test_a_chart_says_what_it_shows_and_draws_each_point_inside() -> None:
    page = chart(
        Series("train", [(1, 5.0), (50, 3.0), (100, 2.5)]), Series("held-out", [(50, 3.2), (100, 2.9)], "dots")
    )
    svg = dict(page.elements)["svg"]
    assert svg["role"] == "img" and svg["aria-labelledby"] == "a-title a-desc"
    assert page.inside["title"] == ["title"] and page.inside["desc"] == ["what is to be seen"]
    lines = [attributes["points"] for name, attributes in page.elements if name == "polyline"]
    assert [len(line.split()) for line in lines] == [3, 2]
    dots = [attributes for name, attributes in page.elements if name == "circle"]
    assert len(dots) == 3  # two points and the mark of the legend
    for line in lines:
        for place in line.split():
            across, up = map(float, place.split(","))
            assert 0 <= across <= WIDTH and 0 <= up <= HEIGHT
    falling = [float(place.split(",")[1]) for place in lines[0].split()]
    assert falling == sorted(falling), "a loss that falls goes down on the page"


def test_no_point_is_no_chart_and_what_is_not_finite_is_not_drawn() -> None:
    assert draw_chart("a", "t", "d", [Series("train", [])], "nats") is None
    assert draw_chart("a", "t", "d", [Series("train", [(1, math.nan), (2, math.inf)])], "nats") is None
    page = chart(Series("train", [(1, 2.0), (2, math.nan), (3, 1.0)]))
    (line,) = [attributes["points"] for name, attributes in page.elements if name == "polyline"]
    assert len(line.split()) == 2


def test_one_point_and_a_flat_line_are_drawn() -> None:
    assert [name for name, _ in chart(Series("train", [(5, 2.0)])).elements].count("circle") == 1
    flat = chart(Series("train", [(1, 0.0), (9, 0.0)]))
    assert "nan" not in str(flat.elements)


@given(st.lists(numbers, min_size=1, max_size=20))
def test_a_scale_holds_its_values_between_its_ticks(values: list[float]) -> None:
    scale = build_scale(values)
    slack = 1e-8 * (scale.high - scale.low)  # far less than the width of a line
    assert scale.low <= min(values) + slack and scale.high >= max(values) - slack
    assert 2 <= len(scale.ticks) <= 8
    assert all(later > earlier for earlier, later in zip(scale.ticks, scale.ticks[1:], strict=False))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 10.0], ["0", "5", "10"]),
        ([1.2, 1.4], ["1.20", "1.25", "1.30", "1.35", "1.40"]),
        ([0.0, 0.003], ["0.000", "0.001", "0.002", "0.003"]),
    ],
)
def test_ticks_have_as_many_decimals_as_they_need(values: list[float], texts: list[str]) -> None:
    scale = build_scale(values)
    assert [format_tick(value, scale) for value in scale.ticks] == texts


def test_equal_points_give_equal_bytes() -> None:
    series = [Series("train", [(step, 1 / (step + 1)) for step in range(100)])]
    assert draw_chart("a", "t", "d", series, "nats") == draw_chart("a", "t", "d", series, "nats")
