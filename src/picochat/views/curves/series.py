"""The answer to "show these metrics of this stage": smoothed on all points, cut to a window, put into buckets.

A series is arrays of one length, a bucket each: step, tokens, wall_s, x, last, smooth, min, max. min and max are null
where every bucket is one point, smooth where nothing was smoothed, x where the axis is the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from picochat.artifacts.metrics import METRICS, Metric
from picochat.views.curves.axes import AXES, Known, available_axes, began, build_axis, tokens_of
from picochat.views.curves.buckets import Buckets, build_buckets
from picochat.views.curves.columns import Floats, spans
from picochat.views.curves.follow import FOUND, EventFollower, iter_stages
from picochat.views.curves.seams import build_seams, is_superseded
from picochat.views.curves.smooth import smooth_line
from picochat.views.curves.stage import StageEvents
from picochat.views.curves.values import build_values

MOST_BUCKETS = 1_500
MOST_KEYS = 8
ANSWER_BYTES = 150_000
BUCKET_BYTES = 95
"""What a bucket takes in an answer at most, so that many keys share the size of one answer."""
OUTLIERS_PCT = (1.0, 99.0)


class Wanted(NamedTuple):
    """A question: window limits are places on the axis, `smooth` is the weight of a point after the usual spacing."""

    stage: str
    keys: tuple[str, ...]
    axis: str = "step"
    begin: float | None = None
    end: float | None = None
    buckets: int = MOST_BUCKETS
    smooth: float = 0.0
    log_x: bool = False
    log_y: bool = False


class Points(NamedTuple):
    """The points of one metric that have a place and a value, and how many have none."""

    x: Floats
    y: Floats
    rows: np.ndarray[Any, np.dtype[np.int64]]
    """Their places in the columns."""
    attempts: Floats
    dropped: dict[str, int]

    def starts(self) -> list[int]:
        """Where an attempt begins."""
        return np.flatnonzero(np.diff(self.attempts, prepend=-1)).tolist()


def build_series(events: EventFollower, wanted: Wanted, known: Known) -> dict[str, Any]:
    """The document. A stage or a file that is not there gives one without points, which says so."""
    stage = events.stages.get(wanted.stage)
    name = AXES[wanted.axis]
    document: dict[str, Any] = {
        "stage": wanted.stage,
        "stages": [{"stage": key, "points": len(found.steps)} for key, found in iter_stages(events)],
        "axis": {"name": wanted.axis, "label": name.label, "unit": name.unit, "available": []},
        "window": {"from": wanted.begin, "to": wanted.end},
        "smooth": wanted.smooth,
        "log": {"x": wanted.log_x, "y": wanted.log_y},
        "span": None,
        "series": [],
        "seams": [],
        "file": describe_file(events, stage),
    }
    if stage is None:
        return document
    document["axis"]["available"] = available_axes(stage, known)
    document["seams"] = [_rounded(seam._asdict()) for seam in build_seams(stage, wanted.axis, known)]
    found = {key: usable_points(stage, key, wanted, known) for key in wanted.keys}
    places = [float(limit) for points in found.values() if len(points.x) for limit in (points.x.min(), points.x.max())]
    document["span"] = _rounded({"from": min(places), "to": max(places)}) if places else None
    most = _buckets_a_series(found, wanted)
    document["series"] = [_series(stage, key, points, wanted, most) for key, points in found.items()]
    return document


def describe_file(events: EventFollower, stage: StageEvents | None) -> dict[str, Any]:
    """The state of the file, and what of it is not in the curves."""
    return {
        "state": events.state,
        "why": events.why,
        "bytes": events.offset if events.state == FOUND else None,
        "lines": events.lines,
        "unreadable_lines": events.unreadable,
        "first_unreadable_offset": events.first_unreadable,
        "out_of_order": stage.out_of_order if stage else 0,
        "forgotten": stage.steps.forgotten + stage.evals.forgotten if stage else 0,
    }


def usable_points(stage: StageEvents, key: str, wanted: Wanted, known: Known) -> Points:
    """Points with a finite place and value, above 0 where the axis is logarithmic, forward in each attempt."""
    kind = METRICS[key].kind
    x, y = build_axis(stage, kind, wanted.axis, known), build_values(stage, key, known)
    attempts = stage.columns(kind)["attempt"]
    finite = np.isfinite(x) & np.isfinite(y)
    positive = finite & ((y > 0) | (not wanted.log_y)) & ((x > 0) | (not wanted.log_x))
    rows = np.flatnonzero(positive)
    forward = _forward(x[rows], attempts[rows])
    dropped = {
        "non_finite": int(np.count_nonzero(~finite)) if np.isfinite(y).any() else 0,
        "non_positive": int(np.count_nonzero(finite & ~positive)),
        "backward": int(np.count_nonzero(~forward)),
    }
    rows = rows[forward]
    return Points(x[rows], y[rows], rows, attempts[rows], dropped)


def _forward(x: Floats, attempts: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which places do not stand back within their attempt, as after a clock was set back."""
    keep = np.ones(len(x), dtype=bool)
    starts = np.flatnonzero(np.diff(attempts, prepend=-1)).tolist()
    for begin, end in spans(starts, len(x)):
        keep[begin:end] = x[begin:end] >= np.maximum.accumulate(x[begin:end])
    return keep


def _buckets_a_series(found: dict[str, Points], wanted: Wanted) -> int:
    """Long series share the size of one answer."""
    limit = min(wanted.buckets, MOST_BUCKETS)
    long = sum(len(points.x) > limit // 8 for points in found.values())
    return max(16, min(limit, ANSWER_BYTES // BUCKET_BYTES // max(1, long)))


def _series(stage: StageEvents, key: str, points: Points, wanted: Wanted, most: int) -> dict[str, Any]:
    metric, columns = METRICS[key], stage.columns(METRICS[key].kind)
    inside = _window(points, wanted)
    shown = Points(points.x[inside], points.y[inside], points.rows[inside], points.attempts[inside], points.dropped)
    buckets = build_buckets(shown.x, shown.starts(), most, logarithmic=wanted.log_x)
    rows, smooth = shown.rows[buckets.last], _smooth(points, columns["step"], metric, wanted)
    return {
        "key": key,
        "label": metric.label,
        "unit": metric.unit,
        "better": metric.better,
        "kind": metric.kind,
        "smoothable": metric.smoothed,
        "points": {"all": len(columns), "usable": len(points.x), "window": len(shown.x), "shown": len(rows)},
        "dropped": points.dropped,
        "attempts": _attempts(stage, columns["step"][rows], columns["attempt"][rows], buckets.begins),
        "step": _integers(columns["step"][rows]),
        "tokens": _integers(tokens_of(stage, columns)[rows]),
        "wall_s": _decimals(columns["t"][rows] - began(stage), 3),
        "x": None if wanted.axis == "step" else _digits(shown.x[buckets.last], 9),
        "last": _digits(shown.y[buckets.last], 9),
        "smooth": None if smooth is None else _digits(smooth[inside][buckets.last], 7),
        **_ranges(shown.y, buckets),
        "facts": _facts(shown, columns["step"]),
    }


def _smooth(points: Points, steps: Floats, metric: Metric, wanted: Wanted) -> Floats | None:
    """The average of all points, whatever window is shown; None where nothing is to be smoothed."""
    if not metric.smoothed or wanted.smooth <= 0 or not len(points.y):
        return None
    return smooth_line(steps[points.rows], points.y, points.starts(), wanted.smooth, logarithmic=wanted.log_y)


def _window(points: Points, wanted: Wanted) -> np.ndarray[Any, np.dtype[np.bool_]]:
    low = -math.inf if wanted.begin is None else wanted.begin
    high = math.inf if wanted.end is None else wanted.end
    return (points.x >= low) & (points.x <= high)


def _ranges(values: Floats, buckets: Buckets) -> dict[str, Any]:
    if buckets.whole:
        return {"min": None, "max": None}
    return {"min": _digits(buckets.low(values), 7), "max": _digits(buckets.high(values), 7)}


def _attempts(stage: StageEvents, steps: Floats, places: Floats, begins: Sequence[int]) -> list[dict[str, Any]]:
    """[begin, end) of each attempt in the arrays; from `tail` on a later attempt trained the steps again."""
    repeated = is_superseded(stage, steps, places)
    found = []
    for begin, end in spans(begins, len(steps)):
        tail = begin + int(np.argmax(repeated[begin:end])) if repeated[begin:end].any() else None
        number = stage.attempts[int(places[begin])].number
        found.append({"attempt": number, "begin": begin, "end": end, "tail": tail})
    return found


def _facts(points: Points, steps: Floats) -> dict[str, Any] | None:
    """First, lowest, highest and last value with their steps, and what lies between the outliers."""
    if not len(points.y):
        return None
    places = {"first": 0, "lowest": int(points.y.argmin()), "highest": int(points.y.argmax()), "last": -1}
    low, high = np.percentile(points.y, OUTLIERS_PCT)
    found = {
        name: {"step": int(steps[points.rows[place]]), "value": float(f"{points.y[place]:.9g}")}
        for name, place in places.items()
    }
    return {**found, "without_outliers": [float(f"{low:.7g}"), float(f"{high:.7g}")]}


def _integers(values: Floats) -> list[int | None]:
    return [round(value) if math.isfinite(value) else None for value in values.tolist()]


def _decimals(values: Floats, decimals: int) -> list[float | None]:
    return [round(value, decimals) if math.isfinite(value) else None for value in values.tolist()]


def _digits(values: Floats, digits: int) -> list[float | None]:
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()]


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: float(f"{value:.9g}") if isinstance(value, float) and math.isfinite(value) else value
        for key, value in document.items()
    }


def iter_rows(document: dict[str, Any]) -> list[list[Any]]:
    """The buckets of an answer as rows of a table: the very numbers, in the order of the series."""
    rows = []
    for series in document["series"]:
        numbers = {place: entry for entry in series["attempts"] for place in range(entry["begin"], entry["end"])}
        for place, step in enumerate(series["step"]):
            entry, last = numbers[place], series["last"][place]
            x = step if series["x"] is None else series["x"][place]
            extremes = [last if series[name] is None else series[name][place] for name in ("min", "max")]
            smooth = None if series["smooth"] is None else series["smooth"][place]
            repeated = entry["tail"] is not None and place >= entry["tail"]
            where = [entry["attempt"], int(repeated), x, step, series["tokens"][place], series["wall_s"][place]]
            rows.append([series["key"], *where, last, smooth, *extremes])
    return rows


COLUMNS = ("series", "attempt", "repeated", "x", "step", "tokens", "wall_s", "last", "smoothed", "min", "max")
"""Of those rows."""
