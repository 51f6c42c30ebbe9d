"""run.json: the resolved configuration, where each value came from, and who made the run."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from picochat.artifacts.reports import CodeRecord
from picochat.artifacts.schema import Record, SchemaTag


class RunRecord(Record):
    """The root of a run; its digest stands in every manifest."""

    schema_tag: SchemaTag = Field(alias="schema")
    name: str
    profile: str
    gate_profile: str
    nonce: str
    created_at: str
    config: dict[str, Any]
    origins: dict[str, str]
    """For each flattened key: profile, file, --set, flag or derived."""
    failpoints: tuple[str, ...] = ()
    """Armed fault injections; a run with one is never released."""
    code: CodeRecord
    environment: dict[str, Any]
