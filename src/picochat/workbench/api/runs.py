"""The list of runs, one of them at a glance, and the files that may be taken from it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from starlette.responses import Response

from picochat.artifacts import layout
from picochat.core.confined import read_below
from picochat.core.event_tail import EventScan
from picochat.judgement.next_step import first_repair
from picochat.model.sizing import planned_parameters
from picochat.views.runs.overview import OFFERED, OVERVIEW_FILES, overview, read_overview
from picochat.views.runs.run_files import MAX_BYTES
from picochat.views.runs.run_list import LINE_FILES, RARE_EVENTS, RunLine, read_run_line, run_line, unreadable_line
from picochat.views.runs.run_state import RUNNING, RunState, judge_run_state
from picochat.workbench.app import encoded, json_response
from picochat.workbench.bench import Workbench, is_id, is_kind, is_run_folder
from picochat.workbench.problems import not_found
from picochat.workbench.routing import Call, Route
from picochat.workbench.watching.heartbeats import heartbeats_of

MOST_OTHERS = 100
KINDS = {".html": "text/html; charset=utf-8", ".json": "application/json", ".md": "text/markdown; charset=utf-8"}
REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
"""A report is one file with its style inside and no script: this is all that it may do."""


class Listed(NamedTuple):
    """A line of the list; `sent` are its bytes where no clock has a say in it any more."""

    line: RunLine
    sent: bytes | None


def list_runs(call: Call) -> Response:
    """Every run of the folder, and what else lies in it: nothing hides anything else.

    The document is put together of lines that are encoded already: a long list must answer at once.
    """
    lines, others = [], []
    for folder in _folders(call.bench.runs):
        if not is_id(folder.name):
            others.append({"name": folder.name, "why": "its name has other characters than an address holds"})
        elif not is_kind(folder, stat.S_ISDIR):
            others.append({"name": folder.name, "why": "it is a link, and links are not followed"})
        elif not os.access(folder, os.R_OK | os.X_OK):
            lines.append(encoded(unreadable_line(folder.name, "the folder may not be read")))
        elif is_run_folder(folder):
            listed = read_line(call.bench, folder)
            lines.append(listed.sent or encoded(run_line(listed.line, state_now(call.bench, listed.line))))
        else:
            others.append({"name": folder.name, "why": f"it holds neither {layout.RUN} nor {layout.STATUS}"})
    beside = {"folder": str(call.bench.runs), "others": others[:MOST_OTHERS], "others_count": len(others)}
    data = encoded(beside)[:-1] + b',"runs":[' + b",".join(lines) + b"]}"
    return json_response(data, 200, call.headers.get("if-none-match"))


def _folders(runs: Path) -> list[Path]:
    """Folders and links to folders, by name; hidden ones are the workbench's own."""
    try:
        entries = sorted(os.scandir(runs), key=lambda entry: entry.name)
        return [Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def read_line(bench: Workbench, folder: Path) -> Listed:
    """The line of a run, read again when one of its files has changed."""
    paths = bench.memo.read(("paths of a line", folder), (), lambda: [folder / name for name in LINE_FILES])
    return bench.memo.read(("line", folder.name), paths, lambda: _read_line(bench, folder))


def _read_line(bench: Workbench, folder: Path) -> Listed:
    line = read_run_line(folder, planned_parameters, scan_of(bench, folder))
    settled = line.files.status.get("state") != RUNNING
    return Listed(line, encoded(run_line(line)) if settled else None)


def state_now(bench: Workbench, line: RunLine) -> RunState:
    """The state of a run, with what this server has seen of its heartbeat."""
    beats = heartbeats_of(bench.memo, bench.clock.monotonic)
    return judge_run_state(line.files, still_s=beats.still_s(line.files.name, line.files.status))


def scan_of(bench: Workbench, folder: Path) -> EventScan:
    """The rare events of a run: one reader a run, which goes on where it ended."""
    return bench.memo.read(("scan", folder.name), (), lambda: EventScan(RARE_EVENTS))


def show_run(call: Call) -> dict[str, Any]:
    """Rail, blocker, next action, facts and files of a run."""
    root = call.run.root
    paths = [root / name for name in OVERVIEW_FILES]
    files = call.bench.memo.read(
        ("overview", root.name), paths, lambda: read_overview(root, planned_parameters, scan_of(call.bench, root))
    )
    state = state_now(call.bench, files.line)
    return overview(files, str(root), state, first_repair(files, state, str(root), root))


def send_file(call: Call) -> Response:
    """One of the offered files: the report as a page that may do nothing, the others to keep."""
    name = call.names["name"]
    if name not in OFFERED:
        raise not_found("that file is not offered")
    try:
        data = read_below(call.run.root, name, MAX_BYTES)
    except OSError:
        raise not_found("the run has no such file") from None
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if name == layout.REPORT_HTML:
        headers["content-security-policy"] = REPORT_POLICY
    else:
        headers["content-disposition"] = f'attachment; filename="{call.names["run"]}-{name}"'
    return Response(data, 200, headers, KINDS[name[name.rfind(".") :]])


ROUTES = [
    Route("GET", "api/runs", list_runs, "All runs of the folder", "picochat runs --json"),
    Route("GET", "api/runs/{run}", show_run, "One run at a glance", "picochat status RUN --json"),
    Route("GET", "api/runs/{run}/files/{name}", send_file, "A page or record of a run", "picochat gate RUN"),
]
