"""Lineage of a run: which file came from which, whether the bytes still hold, and the command that proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.views.files.lineage import build_lineage, file_edges
from picochat.views.files.lineage_records import Record, read_records, record_schemas
from picochat.views.plain import plain_tree
from picochat.workbench.bench import Workbench
from picochat.workbench.memo import stamp
from picochat.workbench.reading.looking import look_at_files
from picochat.workbench.routing import Accepted, Call, Route


def show_lineage(call: Call) -> dict[str, Any]:
    """Every file and record with its state; what could not be read is a state of its own."""
    root, name = call.run.root, call.names["run"]
    records = _records(call.bench, root)
    verification = call.bench.verifications.newest(name)
    edges = file_edges(records)
    inside = [path for path, said in edges.items() if not any(edge.external for edge in said)]
    blamed, proved, at = {}, {}, None
    if verification is not None and verification.verdict is not None:
        now = {path: stamp(root / path) for path in verification.stamps}
        same = {path for path, then in verification.stamps.items() if now[path] == then}
        blamed = {path: why for path, why in verification.blamed.items() if path in same}
        proved = {path: then for path, then in verification.stamps.items() if path not in verification.blamed}
        at = verification.process.ended_at
    seen = look_at_files(call.bench.memo, root, inside, proved, at)
    return {
        "run": name,
        "state": "present" if records else "empty",
        **plain_tree(build_lineage(records, seen, blamed)),
        "verification": plain_tree(verification.to_json()) if verification else None,
        "command": f"picochat verify {call.run_word}",
    }


def start_verify(call: Call) -> Accepted:
    """Starts `picochat verify` as a process; one that is at work already is answered instead of a second."""
    root = call.run.root
    paths = [path for path, said in file_edges(_records(call.bench, root)).items() if not any(e.external for e in said)]
    process = call.bench.verifications.start(call.names["run"], {path: stamp(root / path) for path in paths})
    return Accepted({"process": process.id})


def _records(bench: Workbench, root: Path) -> list[Record]:
    """Read again when one of the reports is another file, or a folder of benchmarks has another list."""
    folders = (layout.BENCHMARKS, layout.HARNESS)
    paths = [root / path for path in (*record_schemas(root), *folders)]
    return bench.memo.read(("records", str(root)), paths, lambda: read_records(root))


ROUTES = [
    Route(
        "GET", "api/runs/{run}/lineage", show_lineage, "Which file came from which, in which state", "picochat verify"
    ),
    Route("POST", "api/runs/{run}/verify", start_verify, "Hash everything again", "picochat verify"),
]
