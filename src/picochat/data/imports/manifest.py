"""What an import writes: a manifest, numbered parts, and a hidden folder of working state while it is not finished.

    import_manifest.json            what was read, from where, what was dropped and why; written last
    part-00012-003.jsonl.zst        the fourth part of source file 12: rows {"name", "text"}
    .import/plan.json               the resolved source: commit, files, settings; written before the first part
    .import/unit-00012.json         how far source file 12 has come; replaced after each part

One row is one document, never a bundle. Many small text files share one number, so that a part is no smaller than it
has to be.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts.reports import self_digest
from picochat.artifacts.schema import Record, SchemaTag, schema_tag
from picochat.core.errors import refuse

MANIFEST = "import_manifest.json"
WORK = ".import"
PLAN = f"{WORK}/plan.json"
STOP = f"{WORK}/stop"
DOWNLOADS = f"{WORK}/download"
PART_NAME = re.compile(r"part-\d{5,}-\d{3,}\.jsonl\.zst")
SCHEMA = schema_tag("import_manifest")
PLAN_SCHEMA = SchemaTag(name="import_plan", version=1)
UNIT_SCHEMA = SchemaTag(name="import_unit", version=1)

LicenceFrom = Literal["given", "card", "unknown"]


def part_name(unit: int, piece: int) -> str:
    """The file name of a part."""
    return f"part-{unit:05d}-{piece:03d}.jsonl.zst"


def unit_name(unit: int) -> str:
    """Where the state of a unit of work is kept."""
    return f"{WORK}/unit-{unit:05d}.json"


class PlannedFile(Record):
    """A source file before it is read. `sha256` is what the hub says; for a local file it is not known yet."""

    name: str
    bytes: int
    sha256: str = ""
    blob_id: str = ""
    """git's digest, of files for which the hub has no sha256."""
    mtime_ns: int = 0
    problem: str = ""
    """Why it cannot be read: then it is one dropped document."""


class Unit(Record):
    """Work that is done by one process: a file of rows, or some files that are one document each."""

    number: int
    kind: Literal["jsonl", "csv", "parquet", "text"]
    files: tuple[PlannedFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Origin(Record):
    """Where an import comes from, without its files."""

    kind: Literal["local", "hf", "climbmix"]
    name: str
    """The dataset, or the absolute path."""
    config_name: str | None = None
    split: str | None = None
    requested_revision: str | None = None
    revision: str = ""
    """The commit of the hub; for a local source the digest of its files, known when they are read."""
    endpoint: str | None = None
    licence: str
    licence_from: LicenceFrom


class Plan(Record):
    """The source, resolved once. A restart goes on with it or is refused."""

    schema_tag: SchemaTag = Field(alias="schema")
    origin: Origin
    settings: dict[str, Any]
    units: tuple[Unit, ...]


class SourceFile(Record):
    """A source file that was read. `whole` is false when max_rows ended in it."""

    name: str
    bytes: int
    sha256: str
    rows: int
    documents: int
    whole: bool = True


class PartFile(Record):
    """A part: its rows, the bytes of their texts, and its own size and digest."""

    name: str
    rows: int
    text_bytes: int
    bytes: int
    sha256: str


class UnitState(Record):
    """How far a unit has come, as of the end of its last part; with `done` the whole of it."""

    schema_tag: SchemaTag = Field(default=UNIT_SCHEMA, alias="schema")
    unit: int
    rows_read: int = 0
    dropped: dict[str, int] = {}
    front_matter: int = 0
    files: tuple[SourceFile, ...] = ()
    """Of a file of rows that is not done: its digest, so that a restart knows that it reads the same one."""
    parts: tuple[PartFile, ...] = ()
    done: bool = False

    @property
    def documents(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def text_bytes(self) -> int:
        return sum(part.text_bytes for part in self.parts)


class ImportManifest(Record):
    """The record of a finished import. `documents + dropped = rows_read`, and the parts hold exactly the documents."""

    schema_tag: SchemaTag = Field(alias="schema")
    source: Origin
    text_column: str | None
    filters: tuple[dict[str, Any], ...]
    max_rows: int | None
    files: tuple[SourceFile, ...]
    files_left: int
    """Files that were not opened because max_rows was reached before."""
    rows_read: int
    documents: int
    dropped: dict[str, int]
    front_matter: int
    """Markdown files whose front matter was taken off."""
    text_bytes: int
    parts: tuple[PartFile, ...]
    settings: dict[str, Any]
    tools: dict[str, str]
    """Versions of what read, packed and fetched."""
    created_at: str
    self_digest: str

    @property
    def n_dropped(self) -> int:
        return sum(self.dropped.values())


def seal(body: dict[str, Any]) -> ImportManifest:
    """The manifest with the digest of everything else in it."""
    document = ImportManifest.from_json(body | {"self_digest": ""}, MANIFEST).to_json()
    return ImportManifest.from_json(document | {"self_digest": self_digest(document)}, MANIFEST)


def require_sound(manifest: ImportManifest, where: str) -> None:
    """Raises `artifact.changed` for another self digest, `data.granularity` when rows and documents do not match."""
    if manifest.self_digest != self_digest(manifest.to_json()):
        refuse("artifact.changed", f"{where} was changed after it was written: it has another self_digest")
    in_parts = sum(part.rows for part in manifest.parts)
    if manifest.documents + manifest.n_dropped != manifest.rows_read or in_parts != manifest.documents:
        refuse(
            "data.granularity",
            f"{where} counts {manifest.rows_read:,} rows, {manifest.documents:,} documents and"
            f" {manifest.n_dropped:,} dropped; its parts hold {in_parts:,} rows",
        )
