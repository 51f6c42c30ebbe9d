"""The JSON documents of a run, each read strictly once: what it says, its manifest, or what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from picochat.artifacts.reports import Manifest, form_problem
from picochat.artifacts.schema import require_schema
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import parse_json


@dataclass(frozen=True)
class Document:
    """A report: `body` and `manifest`, or the `problem` with it. `sha256` is of the file, "" if absent."""

    path: str
    body: dict[str, Any]
    manifest: Manifest | None
    sha256: str
    problem: str

    @property
    def present(self) -> bool:
        return bool(self.sha256)

    @property
    def usable(self) -> bool:
        return not self.problem

    def number(self, *keys: str) -> float | None:
        """The finite number at a path of keys, else None: what is not there was not measured."""
        value = self.value(*keys)
        ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if ok else None

    def value(self, *keys: str) -> Any:
        """Whatever stands at a path of keys, or None."""
        return value_at(self.body, *keys)


def value_at(obj: Any, *keys: str) -> Any:
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def load_document(store: RunStore, path: str, schema: str) -> Document:
    """Reads a report strictly: JSON, canonical form, schema version, manifest."""
    try:
        data = store.path(path).read_bytes()
    except OSError:
        return Document(path, {}, None, "", "missing")
    digest = sha256_bytes(data)
    try:
        body = require_schema(parse_json(data, path), schema, path)
        manifest = Manifest.from_json(body.get("manifest"), f"{path} manifest")
    except PicochatError as err:
        return Document(path, {}, None, digest, err.detail)
    return Document(path, body, manifest, digest, form_problem(body, data))


def same_numbers(first: Any, second: Any) -> bool:
    """Equality of two JSON values, floats to one part in a billion (another numpy may round the last bit elsewhere)."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_numbers(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same_numbers, first, second))
    return first == second


def first_difference(stored: Any, now: Any, pointer: str = "") -> tuple[str, Any, Any]:
    """(pointer, stored, now) of the first place where two JSON values differ, as deep as both go."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for key in sorted(stored.keys() | now.keys()):
            if not same_numbers(stored.get(key), now.get(key)):
                return first_difference(stored.get(key), now.get(key), f"{pointer}/{key}")
    if isinstance(stored, list | tuple) and isinstance(now, list | tuple):
        for index, (old, new) in enumerate(zip(stored, now, strict=False)):
            if not same_numbers(old, new):
                return first_difference(old, new, f"{pointer}/{index}")
        return f"{pointer} length", len(stored), len(now)
    return pointer, stored, now
