"""Curves of a run: series, what happened along them, what the training takes, and the rows as CSV."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from starlette.responses import Response

from picochat.artifacts import layout
from picochat.artifacts.metrics import METRICS
from picochat.core.errors import PicochatError
from picochat.pipeline.plan.cards import find_card
from picochat.views.curves.axes import Known
from picochat.views.curves.known import DOCUMENTS, read_document, read_known, read_report
from picochat.views.curves.markers import build_markers
from picochat.views.curves.resources import build_speed
from picochat.views.curves.series import COLUMNS, MOST_BUCKETS, MOST_KEYS, Wanted, build_series, iter_rows
from picochat.workbench.routing import Call, Question, Route

CSV = "text/csv; charset=utf-8"
TWIN = "picochat status {run} --json"
MOST_SMOOTH = 0.9999
StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
AxisKey = Literal["step", "tokens", "flops", "wall", "active", "epoch"]
"""The keys of `views.curves.axes.AXES`."""


def _require_keys(text: str) -> str:
    keys = text.split(",")
    if len(keys) > MOST_KEYS or len(set(keys)) != len(keys) or not set(keys) <= METRICS.keys():
        raise ValueError(f"up to {MOST_KEYS} different ones of {', '.join(METRICS)}, with commas between")
    return text


class AboutStage(Question):
    """Which stage, over which axis."""

    stage: StageName = layout.BASE
    x: AxisKey = "step"


class AboutSeries(AboutStage):
    """Which metrics, in which window of the axis, in how many buckets, smoothed how much."""

    keys: Annotated[str, AfterValidator(_require_keys)] = "loss"
    begin: float | None = Field(None, alias="from")
    end: float | None = Field(None, alias="to")
    buckets: int = Field(MOST_BUCKETS, ge=16, le=MOST_BUCKETS)
    smooth: float = Field(0.0, ge=0, le=MOST_SMOOTH)
    log: Literal["", "x", "y", "xy"] = ""

    def wanted(self) -> Wanted:
        return Wanted(
            stage=self.stage,
            keys=tuple(self.keys.split(",")),
            axis=self.x,
            begin=self.begin,
            end=self.end,
            buckets=self.buckets,
            smooth=self.smooth,
            log_x="x" in self.log,
            log_y="y" in self.log,
        )


class AboutResources(Question):
    """Of one stage, or of the newest that trained."""

    stage: StageName | None = None


def show_series(call: Call) -> dict[str, Any]:
    """Buckets of the metrics that are asked for."""
    with call.bench.followers.reading(call.run.path(layout.EVENTS)) as events:
        found = build_series(events, call.query.wanted(), _known(call, call.query.stage))
    return found | {"command": f"picochat status {call.run_word} --json"}


def show_csv(call: Call) -> Response:
    """The same buckets as rows, a line each; what is unknown is an empty field."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if cell is None else cell for cell in row] for row in iter_rows(show_series(call)))
    name = f"{call.names['run']}-{call.query.stage}.csv"
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
    return Response(stream.getvalue().encode(), 200, headers, CSV)


def show_markers(call: Call) -> dict[str, Any]:
    """Events on the axis, and the lines that a curve is read against."""
    run, known = call.run, _known(call, call.query.stage)
    with call.bench.followers.reading(run.path(layout.EVENTS)) as events:
        return build_markers(events, run.root, call.query.stage, call.query.x, known)


def show_resources(call: Call) -> dict[str, Any]:
    """Speed from the events, memory, processors, GPUs and disk from this machine."""
    run, stage = call.run, call.query.stage
    status = read_document(run.path(layout.STATUS))
    with call.bench.followers.reading(run.path(layout.EVENTS)) as events:
        speed = build_speed(events, stage, _known(call, stage or str(status.get("stage"))))
    return {"speed": speed, "machine": call.bench.machine_use.describe(run.root, status)}


def _known(call: Call, stage: str) -> Known:
    """What the run's documents add, read again when one of them is another one."""
    root = call.run.root
    paths = [root / name for name in DOCUMENTS]
    return call.bench.memo.read(("curves.known", root, stage), paths, lambda: _read_known(call, stage))


def _read_known(call: Call, stage: str) -> Known:
    root = call.run.root
    gpus = call.bench.machine_use.gpus_of(read_document(root / layout.STATUS)) or []
    return read_known(root, stage, peak_flops_per_s(read_report(root, stage), [gpu["name"] for gpu in gpus]))


def peak_flops_per_s(report: dict[str, Any], cards: list[str]) -> float | None:
    """Of the ranks of a training together; None unless it ran on GPUs and the machine's are one card of the table.

    A report says how many ranks there were and not on which card: that is asked of the machine while it is this one.
    """
    machine = report.get("machine")
    if not isinstance(machine, dict) or not str(machine.get("device")).startswith("cuda") or len(set(cards)) != 1:
        return None
    try:
        peak = find_card(cards[0]).bf16_tflops
    except PicochatError:
        return None
    ranks = machine.get("ranks")
    return None if peak is None or type(ranks) is not int or ranks < 1 else ranks * peak * 1e12


ROUTES = [
    Route("GET", "api/runs/{run}/series", show_series, "Curves in buckets", TWIN, AboutSeries),
    Route("GET", "api/runs/{run}/series.csv", show_csv, "The same buckets as CSV", TWIN, AboutSeries),
    Route("GET", "api/runs/{run}/markers", show_markers, "Events and reference lines on the axis", TWIN, AboutStage),
    Route("GET", "api/runs/{run}/resources", show_resources, "Speed, memory, GPUs and disk", TWIN, AboutResources),
]
