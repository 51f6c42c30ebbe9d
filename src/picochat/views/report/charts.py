"""Curves as inline SVG, without a script: drawn from points that stand in artifacts, with fixed decimals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from picochat.core.units import format_count
from picochat.views.markup import Markup, element

Point = tuple[float, float]
WIDTH, HEIGHT = 360, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 26, 38
_TICKS = 4


class Series(NamedTuple):
    """Points in the order of x. `kind` also tells series apart where colours do not."""

    label: str
    points: Sequence[Point]
    kind: Literal["line", "dots"] = "line"


class Axis(NamedTuple):
    """What lies along x: its name, the words of a tick, and whether it begins at zero."""

    name: str = "step"
    label: Callable[[float], str] = format_count
    from_zero: bool = True


class Scale(NamedTuple):
    """A linear scale from values to the length of an axis."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def build_scale(values: Sequence[float], *, from_zero: bool = False) -> Scale:
    """Round limits around the values, with ticks at 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    low = min(low, 0.0) if from_zero else low
    if high - low <= abs(high) * 1e-9:
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / _TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Scale(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


STEPS = Axis()


def draw_chart(
    name: str, title: str, description: str, series: Sequence[Series], unit: str, axis: Axis = STEPS
) -> Markup | None:
    """A chart, over steps unless `axis` says otherwise; None without a point.

    `name` makes ids unique, `description` is for those who do not see.
    """
    drawn = [
        (number, entry._replace(points=[point for point in entry.points if all(map(math.isfinite, point))]))
        for number, entry in enumerate(series)
    ]
    drawn = [(number, entry) for number, entry in drawn if entry.points]
    if not drawn:
        return None
    x = build_scale([point[0] for _, entry in drawn for point in entry.points], from_zero=axis.from_zero)
    y = build_scale([point[1] for _, entry in drawn for point in entry.points])
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        _grid(x, y, axis),
        _axis_names(unit, axis),
        [_draw(number, entry, x, y) for number, entry in drawn],
        _legend([(number, entry) for number, entry in drawn]),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="chart",
    )


def _place(x: Scale, y: Scale, point: Point) -> tuple[str, str]:
    across = _LEFT + x.share(point[0]) * (WIDTH - _LEFT - _RIGHT)
    up = HEIGHT - _BOTTOM - y.share(point[1]) * (HEIGHT - _TOP - _BOTTOM)
    return f"{across:.1f}", f"{up:.1f}"


def _grid(x: Scale, y: Scale, axis: Axis) -> list[Markup]:
    lines = []
    for value in y.ticks:
        _, up = _place(x, y, (x.low, value))
        lines.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=up, y2=up, class_="grid"))
        text = format_tick(value, y)
        lines.append(element("text", text, x=_LEFT - 6, y=up, dy="0.32em", class_="end tick"))
    for value in x.ticks:
        across, _ = _place(x, y, (value, y.low))
        bottom = HEIGHT - _BOTTOM
        lines.append(element("line", x1=across, x2=across, y1=bottom, y2=bottom + 4, class_="axis"))
        lines.append(element("text", axis.label(value), x=across, y=bottom + 16, class_="middle tick"))
    bottom = HEIGHT - _BOTTOM
    lines.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    return lines


def format_tick(value: float, scale: Scale) -> str:
    """As many decimals as two neighbours need to differ; small scales in powers of ten."""
    step = scale.ticks[1] - scale.ticks[0]
    if value and step < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}"


def _axis_names(unit: str, axis: Axis) -> list[Markup]:
    return [
        element("text", unit, x=6, y=13, class_="name"),
        element("text", axis.name, x=WIDTH - _RIGHT, y=HEIGHT - 6, class_="end name"),
    ]


def _draw(number: int, series: Series, x: Scale, y: Scale) -> Markup:
    places = [_place(x, y, point) for point in series.points]
    if series.kind == "dots":
        dots = [element("circle", cx=across, cy=up, r=3.2) for across, up in places]
        line = element("polyline", points=" ".join(",".join(place) for place in places), class_="thin")
        return element("g", line, dots, class_=f"series s{number}")
    if len(places) == 1:
        return element("g", element("circle", cx=places[0][0], cy=places[0][1], r=2.5), class_=f"series s{number}")
    return element(
        "g", element("polyline", points=" ".join(",".join(place) for place in places)), class_=f"series s{number}"
    )


def _legend(drawn: Sequence[tuple[int, Series]]) -> list[Markup]:
    """Names at the upper right, the last one at the edge, each behind a piece of its line."""
    parts, right = [], float(WIDTH - _RIGHT)
    for number, series in reversed(drawn):
        parts.append(element("text", series.label, x=f"{right:.1f}", y=13, class_="end name"))
        right -= 6.0 * len(series.label) + 8
        mark = (
            element("circle", cx=f"{right - 6:.1f}", cy=9.5, r=3.2)
            if series.kind == "dots"
            else element("line", x1=f"{right - 14:.1f}", x2=f"{right:.1f}", y1=9.5, y2=9.5)
        )
        parts.append(element("g", mark, class_=f"series s{number}"))
        right -= 24
    return parts
