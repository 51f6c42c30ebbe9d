"""bundle.json: what a bundle holds and what it leaves out, each file by size and digest. The one file that is signed.

bundle.json            this record
bundle.sig             its signature, when there is one
run/...                files of the run under their own names
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.reports import CodeRecord, self_digest
from picochat.artifacts.schema import Record, SchemaTag, require_schema, schema_tag
from picochat.core.errors import refuse
from picochat.core.jsonio import parse_json, pretty_json

SCHEMA = "bundle"
MAX_RECORD_BYTES = 64 * 1024 * 1024


class BundledFile(Record):
    """A file of the run; `path` is relative to it."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"\A[0-9a-f]{64}\z")


class LeftOut(BundledFile):
    """A file of the run that the bundle does not hold, and why."""

    reason: str


class BundleRecord(Record):
    """Equal runs and options give equal records: there is no time and no host in one."""

    schema_tag: SchemaTag = Field(alias="schema")
    name: str
    run_digest: str
    weights_digest: str | None
    verdict: str
    profile: str
    profile_version: int
    code: CodeRecord
    """The code that made the bundle."""
    files: tuple[BundledFile, ...]
    left_out: tuple[LeftOut, ...]
    self_digest: str


def record_bytes(fields: dict[str, Any]) -> bytes:
    """The record's text from all fields but schema and own digest, which are added here."""
    body = {"schema": schema_tag(SCHEMA).to_json(), **fields}
    return pretty_json(body | {"self_digest": self_digest(body)})


def parse_record(data: bytes) -> BundleRecord:
    """Reads a record strictly. Raises `json.invalid`, `artifact.schema` or `artifact.changed`."""
    obj = require_schema(parse_json(data, layout.BUNDLE, MAX_RECORD_BYTES), SCHEMA, layout.BUNDLE)
    record = BundleRecord.from_json(obj, layout.BUNDLE)
    if pretty_json(obj) != data or record.self_digest != self_digest(obj):
        refuse("artifact.changed", f"{layout.BUNDLE} was changed after it was written: it has another self_digest")
    return record
