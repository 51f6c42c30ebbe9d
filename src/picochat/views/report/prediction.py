"""What was said of the base model before it was trained, beside what it came to: a part of report.html."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from picochat.core.units import format_count
from picochat.views.gate.prediction import prediction_notes, prediction_table
from picochat.views.markup import Child, element
from picochat.views.report import tables
from picochat.views.report.charts import Axis, Series, draw_chart

Content = Mapping[str, Any]
UNIT = "bits a byte"
TITLE = "Held-out loss over parameters"
PARAMETERS = Axis("parameters", lambda power: format_count(10.0**power), from_zero=False)
"""Drawn in powers of ten."""


def prediction(said: Content, plot: Content | None) -> list[Child]:
    """Chart, table and notes."""
    table = prediction_table(said)
    caption = "Predicted before base began, and measured after it"
    parts: list[Child] = [_figure(plot) if plot else None, tables.table(caption, table.columns, table.rows)]
    return [*parts, *(element("p", note, class_="note") for note in prediction_notes(said))]


def _figure(plot: Content) -> Child:
    series = [
        Series("rungs", _powers(plot["rungs"]), "dots"),
        Series("law", _powers(plot["law"])),
        Series("band", _powers(plot["band"])),
        Series("measured", _powers(plot["measured"]), "dots"),
    ]
    told = "; ".join(_describe(name, plot[name]) for name in ("rungs", "law", "band", "measured") if plot[name])
    chart = draw_chart("prediction", TITLE, f"{UNIT}, over parameters. {told}.", series, UNIT, PARAMETERS)
    words = "Dots are the longest training of each size; the law is drawn at their lengths and at that of the target."
    return element("figure", chart, element("figcaption", f"{TITLE}. {words} {told}.")) if chart else None


def _powers(points: list[list[float]]) -> list[tuple[float, float]]:
    return [(math.log10(parameters), bpb) for parameters, bpb in points]


def _describe(name: str, points: list[list[float]]) -> str:
    if len(points) == 1:
        return f"{name}: {points[0][1]:.4f} at {format_count(points[0][0])}"
    (first, high), (last, low) = points[0], points[-1]
    if first == last:
        return f"{name}: {high:.4f} to {low:.4f} at {format_count(first)}"
    return f"{name}: from {high:.4f} at {format_count(first)} to {low:.4f} at {format_count(last)}"
