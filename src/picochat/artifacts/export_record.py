"""export.json: which weights an export holds, what the gate says of them, how the proof ended; and its files.

Its manifest's outputs are all other files of the folder, the proof in parity.json among them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import Manifest, self_digest
from picochat.artifacts.schema import Record, SchemaTag, require_schema, schema_tag
from picochat.core.errors import PicochatError, refuse
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import parse_json, pretty_json

SCHEMA = "export"
PARITY_SCHEMA = "parity"


class GateWord(Record):
    """What the gate said of these weights when they were exported."""

    word: str
    profile: str | None
    reason: str


class ExportRecord(Record):
    """The record of one folder. It names the folder's kind, never its place: a copy elsewhere reads the same."""

    schema_tag: SchemaTag = Field(alias="schema")
    kind: str
    result: str
    """native or custom code."""
    types: tuple[str, ...]
    """Of the numbers in the file or files."""
    weights_digest: str
    """Of the checkpoint that was exported."""
    gate: GateWord
    parity: CheckResult
    manifest: Manifest
    self_digest: str


class ExportFolder(NamedTuple):
    """An export as it lies on disk: `problems` are (file, what is wrong) and `extra` files that it does not list."""

    record: ExportRecord | None
    problems: list[tuple[str, str]]
    extra: list[str]


def record_bytes(fields: dict[str, Any]) -> bytes:
    """The record's text from all fields but schema and own digest, which are added here."""
    return _signed(SCHEMA, fields)


def parity_bytes(body: dict[str, Any]) -> bytes:
    """parity.json from its body."""
    return _signed(PARITY_SCHEMA, body)


def _signed(schema: str, fields: dict[str, Any]) -> bytes:
    body = {"schema": schema_tag(schema).to_json(), **fields}
    return pretty_json(body | {"self_digest": self_digest(body)})


def parse_record(data: bytes) -> ExportRecord:
    """Reads a record strictly. Raises `json.invalid`, `artifact.schema` or `artifact.changed`."""
    obj = require_schema(parse_json(data, layout.EXPORT_MANIFEST), SCHEMA, layout.EXPORT_MANIFEST)
    record = ExportRecord.from_json(obj, layout.EXPORT_MANIFEST)
    if pretty_json(obj) != data or record.self_digest != self_digest(obj):
        refuse("artifact.changed", f"{layout.EXPORT_MANIFEST} was changed after it was written: another self_digest")
    return record


def inspect_export(folder: Path) -> ExportFolder:
    """Hashes every file of an export again. Raises nothing."""
    try:
        record = parse_record((folder / layout.EXPORT_MANIFEST).read_bytes())
    except OSError:
        return ExportFolder(None, [(layout.EXPORT_MANIFEST, "missing")], [])
    except PicochatError as err:
        return ExportFolder(None, [(layout.EXPORT_MANIFEST, err.detail)], [])
    listed = {ref.path.rpartition("/")[2]: ref for ref in record.manifest.outputs}
    problems = []
    for name, ref in sorted(listed.items()):
        try:
            now = sha256_file(folder / name)
        except (OSError, PicochatError):
            problems.append((name, "missing"))
            continue
        if now != ref.sha256:
            problems.append((name, f"sha256 {now[:12]}, recorded was {ref.sha256[:12]}"))
    present = {path.name for path in folder.iterdir()} - {layout.EXPORT_MANIFEST}
    return ExportFolder(record, problems, sorted(present - listed.keys()))


def is_whole_export(folder: Path) -> bool:
    """Whether every file that the record lists is there with its bytes."""
    found = inspect_export(folder)
    return found.record is not None and not found.problems
