"""Events and rank logs of a run by byte offset; an answer has at most 1 MB, however large the file is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.core.clock import utc_time
from picochat.core.confined import open_below, stat_below
from picochat.core.events import KINDS
from picochat.pipeline.runner import STAGES
from picochat.views.files.event_page import EventFilter, read_events
from picochat.views.files.log_lines import show_lines
from picochat.views.files.log_window import Window, find_line, find_line_back, read_window
from picochat.views.reading import PRESENT, state_of, why_of
from picochat.workbench.routing import Call, Question, Route

MOST_RANKS = 4096
_RANK_LOG = re.compile(r"rank(\d{1,6})\.log")
FAILURES = (b" ERROR ", b" CRITICAL ", b"Traceback (most recent call last)")
"""Words that begin a failure in a log, for finding one faster: what failed is said by the events."""
_Place = Field(default=None, ge=0, le=1 << 60)


class Events(Question):
    """Which events: after `offset`, ahead of `before`, else the newest."""

    offset: int | None = _Place
    before: int | None = _Place
    kind: str | None = Field(default=None, max_length=40)
    stage: str | None = Field(default=None, max_length=40)
    rank: int | None = Field(default=None, ge=0, le=1 << 20)
    text: str | None = Field(default=None, min_length=1, max_length=200)
    limit: int = Field(default=200, ge=1, le=1000)


class Logs(Question):
    """Which part of which log; without a rank, the list of logs. `find` begins at the next line that holds it."""

    rank: int | None = Field(default=None, ge=0, le=1 << 20)
    offset: int | None = _Place
    before: int | None = _Place
    find: str | None = Field(default=None, min_length=1, max_length=200)
    failure: Literal["first"] | None = None


def list_events(call: Call) -> dict[str, Any]:
    """Events as they stand in the file, the oldest of the page first."""
    asked = call.query
    wanted = EventFilter(asked.kind, asked.stage, asked.rank, asked.text)

    def read(stream: BinaryIO) -> dict[str, Any]:
        page = read_events(stream, wanted, asked.limit, offset=asked.offset, before=asked.before)
        return page._asdict()

    nothing = {"rows": [], "begin": 0, "end": 0, "size": None, "whole": True}
    return {
        "run": call.names["run"],
        **_opened(call.run.root, layout.EVENTS, read, nothing),
        "kinds": sorted(KINDS),
        "stages": [spec.name for spec in STAGES],
        "command": f"picochat status {call.run_word}",
    }


def show_logs(call: Call) -> dict[str, Any]:
    """The logs that there are, or lines of one of them."""
    root, rank = call.run.root, call.query.rank
    if rank is None:
        return {"run": call.names["run"], "logs": _list_logs(root)}
    nothing = {"lines": [], "partial": None, "begin": 0, "end": 0, "size": None, "found": None, "searched_to": None}
    found = _opened(root, layout.rank_log(rank), lambda stream: _window(stream, call.query), nothing)
    return {"run": call.names["run"], "rank": rank, "path": layout.rank_log(rank), **found}


def _opened(
    root: Path, path: str, read: Callable[[BinaryIO], dict[str, Any]], nothing: dict[str, Any]
) -> dict[str, Any]:
    """What `read` makes of a file, or the state that the file is in."""
    try:
        with open_below(root, path) as stream:
            return {"state": PRESENT, "why": "", **read(stream)}
    except OSError as err:
        return {"state": state_of(err), "why": why_of(err, path), **nothing}


def _window(stream: BinaryIO, asked: Logs) -> dict[str, Any]:
    """Lines at the place that is asked for. A search that finds nothing says how far it went and shows no line."""
    if asked.failure is None and asked.find is None:
        window = read_window(stream, offset=asked.offset, before=asked.before)
        return {"found": None, "searched_to": None, **_lines(window)}
    place, searched = _search(stream, asked)
    if place is None:
        size = os.fstat(stream.fileno()).st_size
        return {"found": None, "searched_to": searched, "lines": [], "partial": None} | {
            "begin": searched,
            "end": searched,
            "size": size,
        }
    return {"found": place, "searched_to": searched, **_lines(read_window(stream, offset=place))}


def _search(stream: BinaryIO, asked: Logs) -> tuple[int | None, int]:
    if asked.failure is not None:
        return find_line(stream, FAILURES, asked.offset or 0)
    words = (str(asked.find).encode(),)
    if asked.before is not None:
        return find_line_back(stream, words, asked.before, fold_case=True)
    return find_line(stream, words, asked.offset or 0, fold_case=True)


def _lines(window: Window) -> dict[str, Any]:
    lines = [*window.lines, *([window.partial] if window.partial else [])]
    shown = [line._asdict() for line in show_lines(lines, window.before)]
    return {
        "lines": shown[: len(window.lines)],
        "partial": shown[-1] if window.partial else None,
        "begin": window.begin,
        "end": window.end,
        "size": window.size,
    }


def _list_logs(root: Path) -> list[dict[str, Any]]:
    try:
        names = os.listdir(root / layout.LOGS) if stat_below(root, layout.LOGS) else []
    except OSError:
        names = []
    ranks = sorted(int(found[1]) for name in names if (found := _RANK_LOG.fullmatch(name)))
    rows = []
    for rank in [rank for rank in ranks if layout.rank_log(rank).rpartition("/")[2] in names][:MOST_RANKS]:
        seen = stat_below(root, layout.rank_log(rank))
        if seen is not None:
            rows.append({"rank": rank, "bytes": seen.st_size, "modified_at": utc_time(seen.st_mtime)})
    return rows


ROUTES = [
    Route("GET", "api/runs/{run}/events", list_events, "Events by byte offset", "picochat status", query=Events),
    Route("GET", "api/runs/{run}/logs", show_logs, "Logs of the ranks by byte offset", query=Logs),
]
