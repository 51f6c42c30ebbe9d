"""Lineage: every file of a run as it was recorded and as it is now, and what can no longer be trusted because of it.

verified      the bytes are those that were recorded, as far as they were hashed since the file last changed
unverified    nobody has hashed it since it changed last
mismatch      other bytes than were recorded, or not a regular file, or a report that is not in its own form
missing       recorded, and not there
external      outside of the run: this page does not look there, `picochat verify` does

A record is stale when something it read is another one now, is missing or is stale itself; so is all that it wrote.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.stage_reports import CLOSING_SCHEMAS
from picochat.views.files.lineage_records import Record

VERIFIED, UNVERIFIED, MISMATCH, LOST, EXTERNAL = "verified", "unverified", "mismatch", "missing", "external"
STATES = (VERIFIED, UNVERIFIED, MISMATCH, LOST, EXTERNAL)
BROKEN = (MISMATCH, LOST)
MOST_FILES = 5000
RUNNER = "the runner"


class SeenFile(NamedTuple):
    """A file as it is now. `sha256` is None as long as it was not hashed since it changed last."""

    bytes: int
    modified_at: str
    regular: bool = True
    sha256: str | None = None
    checked_at: str | None = None
    proved: bool = False
    """Whether `picochat verify` went over it since it changed last, and found nothing."""


class Edge(NamedTuple):
    """What one record says of one file: that it wrote it, read it, or lists it."""

    record: str
    role: str
    bytes: int | None
    sha256: str
    external: bool = False


def file_edges(records: Sequence[Record]) -> dict[str, list[Edge]]:
    """Every file that a record names, run.json and the records among them, with all that is said of it."""
    edges: dict[str, list[Edge]] = {layout.RUN: []}
    for record in records:
        edges.setdefault(record.path, [])
        if record.manifest is None:
            continue
        edges[layout.RUN].append(Edge(record.path, "reads", None, record.manifest.run_digest))
        for role, refs in (("reads", record.manifest.inputs), ("writes", record.manifest.outputs)):
            for ref in refs:
                edge = Edge(record.path, role, ref.bytes, ref.sha256, ref.external)
                if edge not in edges.setdefault(ref.path, []):
                    edges[ref.path].append(edge)
        for listed in record.listed:
            edges.setdefault(listed.path, []).append(Edge(record.path, "lists", listed.bytes, listed.sha256))
    return edges


def build_lineage(
    records: Sequence[Record], seen: Mapping[str, SeenFile], blamed: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The files, the records and the links between records. `blamed` are files that verify found broken, and how."""
    edges, by_path = file_edges(records), {record.path: record for record in records}
    blamed = blamed or {}
    judged = {path: _judge(path, said, seen.get(path), by_path.get(path), blamed) for path, said in edges.items()}
    states = {path: state for path, (state, _) in judged.items()}
    causes = _stale_records(records, edges, states, seen)
    files = [
        _file(path, said, judged[path], seen.get(path), causes, by_path)
        for path, said in list(edges.items())[:MOST_FILES]
    ]
    links = _links(records, edges, seen)
    return {
        "files": files,
        "left_out": max(0, len(edges) - MOST_FILES),
        "totals": _totals(files),
        "records": [_record(record, states, causes, links) for record in records],
        "links": [
            {"from": start, "to": end, "files": count, "broken": broken}
            for (start, end), (count, broken) in links.items()
        ],
    }


def _judge(
    path: str, said: Sequence[Edge], seen: SeenFile | None, record: Record | None, blamed: Mapping[str, str]
) -> tuple[str, str]:
    """(state, why) of one file, by what its writer says of it, else by whoever lists or read it."""
    if any(edge.external for edge in said):
        return EXTERNAL, "lies outside of the run"
    if seen is None:
        return LOST, f"{_first(said)} names it and it is not there"
    if not seen.regular:
        return MISMATCH, "is not a regular file"
    if record is not None and record.problem:
        return MISMATCH, record.problem
    if path in blamed:
        return MISMATCH, blamed[path]
    if record is not None:  # it carries a digest of itself
        return VERIFIED, ""
    for edge in _authority(said):
        if difference := _difference(edge, seen):
            return MISMATCH, difference
    if seen.proved or (seen.sha256 is not None and said):
        return VERIFIED, ""
    return UNVERIFIED, "not hashed since it changed last"


def _first(said: Sequence[Edge]) -> str:
    return next((edge.record for edge in said), layout.RUN)


def _authority(said: Sequence[Edge]) -> list[Edge]:
    """Whose word counts: the writer's, else the summary's, else of everyone who read it.

    A file that was written again is whole; who read or listed the earlier one is stale.
    """
    roles = {role: [edge for edge in said if edge.role == role] for role in ("writes", "lists", "reads")}
    return roles["writes"] or roles["lists"] or roles["reads"]


def _difference(edge: Edge, seen: SeenFile) -> str:
    """How a file is another one than a record says; empty when it is not, as far as is known."""
    if edge.bytes is not None and edge.bytes != seen.bytes:
        return f"{seen.bytes:,} bytes, {edge.record} recorded {edge.bytes:,}"
    if seen.sha256 is not None and seen.sha256 != edge.sha256:
        return f"sha256 {seen.sha256[:12]}, {edge.record} recorded {edge.sha256[:12]}"
    return ""


def _stale_records(
    records: Sequence[Record],
    edges: Mapping[str, Sequence[Edge]],
    states: Mapping[str, str],
    seen: Mapping[str, SeenFile],
) -> dict[str, str]:
    """Records that are stale, with the file in which it began; repeated, because records read each other."""
    writers = {path: edge.record for path, said in edges.items() for edge in said if edge.role == "writes"}
    writers |= {record.path: record.path for record in records}
    reads = [(path, edge) for path, said in edges.items() for edge in said if edge.role != "writes"]
    causes: dict[str, str] = {}
    broken = [path for path, state in states.items() if state in BROKEN]
    for record in records:  # the closing records speak of the whole run, whatever they name
        others = [path for path in broken if path != record.path]
        if record.path in CLOSING_SCHEMAS and others:
            causes[record.path] = others[0]
    for _ in records:
        before = len(causes)
        for path, edge in reads:
            if edge.record not in causes and (cause := _cause(path, edge, states, seen, writers, causes)):
                causes[edge.record] = cause
        if len(causes) == before:
            break
    return causes


def _cause(
    path: str,
    edge: Edge,
    states: Mapping[str, str],
    seen: Mapping[str, SeenFile],
    writers: Mapping[str, str],
    causes: Mapping[str, str],
) -> str | None:
    """Why a record that read this file is stale: the file where it began."""
    if edge.external or edge.record == path:
        return None
    if states[path] in BROKEN:
        return path
    if (found := seen.get(path)) is not None and _difference(edge, found):
        return path
    writer = writers.get(path)
    return causes.get(writer) if writer is not None and writer != edge.record else None


def _file(
    path: str,
    said: Sequence[Edge],
    judged: tuple[str, str],
    seen: SeenFile | None,
    causes: Mapping[str, str],
    by_path: Mapping[str, Record],
) -> dict[str, Any]:
    writer = _writer(path, said, by_path)
    recorded = next(iter(_authority(said)), None)
    cause = causes.get(writer) if writer and judged[0] not in BROKEN else None
    digest = by_path[path].sha256 if path in by_path else (seen.sha256 if seen else None)
    return {
        "path": path,
        "state": judged[0],
        "why": judged[1],
        "sha256": recorded.sha256 if recorded else digest,
        "sha256_now": digest,
        "bytes": seen.bytes if seen else (recorded.bytes if recorded else None),
        "modified_at": seen.modified_at if seen else None,
        "checked_at": seen.checked_at if seen else None,
        "stale": cause is not None,
        "stale_because": cause,
        "written_by": by_path[writer].label if writer else RUNNER if path == layout.RUN else None,
        "read_by": _readers(said, by_path),
    }


def _writer(path: str, said: Sequence[Edge], records: Container[str]) -> str | None:
    """The record that wrote a file last; a record is its own."""
    own = path if path in records else None
    return next((edge.record for edge in reversed(said) if edge.role == "writes"), own)


def _readers(said: Iterable[Edge], by_path: Mapping[str, Record]) -> list[str]:
    return list(dict.fromkeys(by_path[edge.record].label for edge in said if edge.role == "reads"))


def _totals(files: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = {state: sum(file["state"] == state for file in files) for state in STATES}
    return {"files": len(files), "stale": sum(file["stale"] for file in files), **counts} | {
        "bytes": sum(file["bytes"] or 0 for file in files if file["state"] != EXTERNAL)
    }


def _links(
    records: Sequence[Record], edges: Mapping[str, Sequence[Edge]], seen: Mapping[str, SeenFile]
) -> dict[tuple[str, str], tuple[int, bool]]:
    """(who wrote, who read) -> how many files went that way, and whether one of them is another one now."""
    known = {record.path for record in records}
    found: dict[tuple[str, str], tuple[int, bool]] = {}
    for path, said in edges.items():
        writer = next(
            (edge.record for edge in reversed(said) if edge.role == "writes"), path if path in known else None
        )
        for edge in said:
            if edge.role != "reads" or writer is None or writer == edge.record:
                continue
            now = seen.get(path)
            broken = now is None or not now.regular or bool(_difference(edge, now))
            count, any_broken = found.get((writer, edge.record), (0, False))
            found[writer, edge.record] = count + 1, any_broken or broken
    return found


def _record(
    record: Record,
    states: Mapping[str, str],
    causes: Mapping[str, str],
    links: Mapping[tuple[str, str], tuple[int, bool]],
) -> dict[str, Any]:
    manifest, cause = record.manifest, causes.get(record.path)
    return {
        "path": record.path,
        "label": record.label,
        "state": states[record.path],
        "problem": record.problem,
        "broken_files": sum(states[ref.path] in BROKEN for ref in manifest.outputs) if manifest else 0,
        "stale": cause is not None,
        "stale_because": cause,
        "depth": _depth(record.path, links, {}),
        "attempt": manifest.attempt if manifest else None,
        "finished_at": manifest.finished_at if manifest else None,
        "duration_s": manifest.duration_s if manifest else None,
        "reads": [ref.path for ref in manifest.inputs] if manifest else [],
        "writes": [ref.path for ref in manifest.outputs] if manifest else [],
    }


def _depth(path: str, links: Mapping[tuple[str, str], Any], known: dict[str, int]) -> int:
    """How many records stand before one, along the longest way; records that read each other in a ring count once."""
    if path not in known:
        known[path] = 0
        known[path] = max((_depth(start, links, known) + 1 for start, end in links if end == path), default=0)
    return known[path]
