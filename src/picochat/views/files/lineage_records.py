"""The records of a run: each report with the files that it names as read and as written, as far as it can be read.

read_records(root)     every report that is there, in the order of the stages
link_files(records)    every file that a report names: digest, by whom it was written, by whom it was read
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest, form_problem
from picochat.artifacts.schema import require_schema
from picochat.artifacts.stage_reports import CLOSING_SCHEMAS, OPTIONAL_SCHEMAS, SCHEMAS
from picochat.core.confined import stat_below
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_bytes
from picochat.views.reading import MISSING, Found, find_document, value_at

_ORDER = (
    layout.CORPUS_MANIFEST,
    layout.HONESTY,
    layout.TOKENIZER_REPORT,
    layout.SHARDS_MANIFEST,
    layout.PREFLIGHT,
    layout.PREDICTION,
    layout.report_path(layout.BASE),
    layout.PREDICTION_CHECK,
    layout.report_path(layout.SFT),
    layout.report_path(layout.EVAL),
    layout.MEMORISATION,
)
_FOLDERS = {layout.BENCHMARKS: "benchmark_report", layout.HARNESS: "harness_report"}
MOST_FOLDERS = 200


class Listed(NamedTuple):
    """A file as summary.json lists it."""

    path: str
    bytes: int | None
    sha256: str


class Record(NamedTuple):
    """A report that is there. Without a manifest it could not be read, and `problem` says why."""

    path: str
    label: str
    sha256: str
    manifest: Manifest | None
    problem: str
    listed: tuple[Listed, ...] = ()


def record_schemas(root: Path) -> dict[str, str]:
    """The paths under which this run can have reports, in the order of the stages, with their schemas."""
    known = SCHEMAS | OPTIONAL_SCHEMAS
    found = {path: known[path] for path in (*_ORDER, *(path for path in known if path not in _ORDER))}
    for folder, schema in _FOLDERS.items():
        for name in _folders(root, folder):
            found[layout.report_path(f"{folder}/{name}")] = schema
    return found | CLOSING_SCHEMAS


def read_records(root: Path) -> list[Record]:
    """Every report of the run, whatever state it is in; those that are not there are left out."""
    found = [(find_document(root, path), schema) for path, schema in record_schemas(root).items()]
    return [_record(document, schema) for document, schema in found if document.state != MISSING]


def link_files(records: Iterable[tuple[str, str, Manifest | None]]) -> list[dict[str, Any]]:
    """Every file that reports name, given as (path, digest, manifest), and the reports themselves."""
    files: dict[str, dict[str, Any]] = {}

    def entry(path: str, sha256: str, external: bool = False) -> dict[str, Any]:
        fresh = {"path": path, "sha256": sha256, "external": external, "written_by": None, "read_by": []}
        return files.setdefault(path, fresh)

    for path, digest, manifest in records:
        if manifest is None:
            continue
        entry(path, digest)["written_by"] = manifest.stage
        for ref in manifest.outputs:
            entry(ref.path, ref.sha256, ref.external)["written_by"] = manifest.stage
        for ref in manifest.inputs:
            readers = entry(ref.path, ref.sha256, ref.external)["read_by"]
            if manifest.stage not in readers:
                readers.append(manifest.stage)
    return list(files.values())


def _folders(root: Path, relative: str) -> list[str]:
    """The folders right below one of the run, by name; none where it is a link."""
    seen = stat_below(root, relative)
    if seen is None or not stat.S_ISDIR(seen.st_mode):
        return []
    try:
        with os.scandir(root / relative) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return names[:MOST_FOLDERS]


def _record(document: Found, schema: str) -> Record:
    digest, label = sha256_bytes(document.data), _label(document.path, schema)
    if document.why:
        return Record(document.path, label, digest, None, document.why)
    try:
        require_schema(document.body, schema, document.path)
        manifest = Manifest.from_json(document.body.get("manifest"), f"{document.path} manifest")
    except PicochatError as err:
        return Record(document.path, label, digest, None, err.detail)
    listed = _listed(document.body) if document.path == layout.SUMMARY else ()
    return Record(document.path, label, digest, manifest, form_problem(document.body, document.data), listed)


def _label(path: str, schema: str) -> str:
    """`benchmarks/blimp/report.json` -> `benchmark blimp`; `base/report.json` -> `base`."""
    folder, _, rest = path.partition("/")
    kind = schema.removesuffix("_report").removesuffix("_manifest")
    return f"{kind} {rest.rpartition('/')[0]}" if folder in _FOLDERS else "dataset" if kind == "corpus" else kind


def _listed(body: dict[str, Any]) -> tuple[Listed, ...]:
    entries = value_at(body, "artifacts")
    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return tuple(
        Listed(str(row.get("path")), row["bytes"] if isinstance(row.get("bytes"), int) else None, str(row["sha256"]))
        for row in rows
        if isinstance(row.get("sha256"), str)
    )
