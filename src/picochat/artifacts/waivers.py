"""waivers.json: who lets a check of the gate go, why, and until when. It belongs to a run and is judged with it."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.schema import Record, SchemaTag, require_schema, schema_tag
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import parse_json, pretty_json

SCHEMA = "waivers"
LONGEST_NAME, LONGEST_REASON = 200, 1000


def parse_day(text: str) -> datetime.date:
    """A day as YYYY-MM-DD and in no other form. Raises ValueError."""
    day = datetime.date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(f"{text!r} is no day of the form YYYY-MM-DD")
    return day


def _day(text: str) -> str:
    return parse_day(text).isoformat()


def _line(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("must be one line of printable characters without spaces around it")
    return text


class Waiver(Record):
    """One check that a person lets go. It holds up to and including the day `until`."""

    check: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=LONGEST_NAME)]
    by: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=LONGEST_NAME)]
    reason: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=LONGEST_REASON)]
    until: Annotated[str, AfterValidator(_day)]
    given_at: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=LONGEST_NAME)]

    def holds_on(self, day: datetime.date) -> bool:
        return day <= parse_day(self.until)


class WaiverFile(Record):
    """waivers.json: at most one waiver a check, in the order of their names."""

    schema_tag: SchemaTag = Field(alias="schema")
    waivers: tuple[Waiver, ...]
    self_digest: str

    @model_validator(mode="after")
    def _each_check_once(self) -> Self:
        checks = [waiver.check for waiver in self.waivers]
        if checks != sorted(set(checks)):
            raise ValueError("checks must stand in the order of their names, each once")
        return self


def read_waivers(store: RunStore) -> tuple[Waiver, ...]:
    """The waivers of a run, none where it has no such file.

    Raises `artifact.changed` for a file that was edited, `artifact.schema` or `json.invalid` for one of another form.
    """
    path = store.path(layout.WAIVERS)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as err:
        refuse("artifact.missing", f"{path} cannot be read: {err.strerror}", fix="restore the file")
    document = require_schema(parse_json(data, layout.WAIVERS), SCHEMA, layout.WAIVERS)
    found = WaiverFile.from_json(document, layout.WAIVERS)
    if found.self_digest != self_digest(document) or pretty_json(document) != data:
        refuse(
            "artifact.changed",
            f"{layout.WAIVERS} was changed after it was written: it has another self_digest or form",
            fix="restore the file; waivers are given and taken back with picochat gate RUN --waive and --unwaive",
        )
    return found.waivers


def check_waivers(store: RunStore) -> tuple[tuple[Waiver, ...], str]:
    """The waivers, or what is wrong with the file, of which then none counts."""
    try:
        return read_waivers(store), ""
    except PicochatError as err:
        return (), err.detail


def write_waivers(store: RunStore, waivers: list[Waiver]) -> None:
    """Writes the file; the one that it replaces keeps a numbered name. Taking back the last waiver leaves it empty."""
    ordered = sorted(waivers, key=lambda waiver: waiver.check)
    document: dict[str, Any] = {
        "schema": schema_tag(SCHEMA).to_json(),
        "waivers": [waiver.to_json() for waiver in ordered],
    }
    store.write_evidence(layout.WAIVERS, pretty_json(document | {"self_digest": self_digest(document)}))
