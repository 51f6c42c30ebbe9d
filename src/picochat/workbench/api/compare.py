"""Configurations and runs side by side."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.judgement.side_by_side import MOST_RUNS, SIDE_FILES, put_side_by_side
from picochat.pipeline.against import parent_run, profile_side
from picochat.views.runs.config_difference import Side, difference, side_of_record
from picochat.views.runs.run_files import RunReader
from picochat.workbench.bench import Workbench, is_kind
from picochat.workbench.problems import Problem, not_found
from picochat.workbench.routing import Call, Question, Route

FLIPPED = 200
"""Rows that flipped, listed a pair of runs."""


class Against(Question):
    """What a configuration is set against; `other` names the run."""

    against: Literal["profile", "parent", "run"] = "profile"
    other: str = ""
    every: bool = False
    """All keys, not only those that differ."""


class Chosen(Question):
    """Runs by name, with commas between them."""

    runs: str = Field(min_length=1, max_length=MOST_RUNS * 81)


def show_config(call: Call) -> dict[str, Any]:
    """Which keys differ from the profile, the parent or another run, and where each value came from."""
    root, asked = call.run.root, call.query
    reader = RunReader(root)
    own = side_of_record(root.name, record := reader.read(layout.RUN))
    parent = _parent(call.bench, record)
    shown = {"run": root.name, "parent": parent.name if parent else None}
    if reader.unreadable:
        return shown | {"state": "unreadable", "why": str(reader.unreadable[0])}
    try:
        other = _other(call, record, parent)
    except PicochatError as err:
        return shown | {"state": "unknown", "why": err.detail}
    return shown | {"state": "ready", "why": "", **difference([other, own], asked.every)}


def _other(call: Call, record: dict[str, Any], parent: Path | None) -> Side:
    if call.query.against == "profile":
        return profile_side(record)
    if call.query.against == "run":
        found = call.bench.run(call.query.other).root
    elif parent is None:
        raise not_found("the run began by itself, or with a checkpoint outside of this folder")
    else:
        found = parent
    reader = RunReader(found)
    side = side_of_record(found.name, reader.read(layout.RUN))
    if reader.unreadable:
        raise Problem(409, "json.invalid", f"{found.name}: {reader.unreadable[0]}")
    return side


def _parent(bench: Workbench, record: dict[str, Any]) -> Path | None:
    """The parent, where it is a run of this folder."""
    found = parent_run(record)
    here = found is not None and found.parent.resolve() == bench.runs.resolve()
    return bench.runs / found.name if found and here and is_kind(bench.runs / found.name, stat.S_ISDIR) else None


def compare(call: Call) -> dict[str, Any]:
    """Settings, losses, rates and flipped rows of two to eight runs."""
    names = call.query.runs.split(",")
    roots = [call.bench.run(name).root for name in names]
    paths = [root / name for root in roots for name in SIDE_FILES]
    return call.bench.memo.read(("compare", *names), paths, lambda: put_side_by_side(roots, FLIPPED))


ROUTES = [
    Route(
        "GET",
        "api/runs/{run}/config",
        show_config,
        "Keys that differ from the profile, the parent or another run",
        "picochat compare RUN --json",
        query=Against,
    ),
    Route("GET", "api/compare", compare, "Two to eight runs side by side", "picochat compare RUN RUN", query=Chosen),
]
