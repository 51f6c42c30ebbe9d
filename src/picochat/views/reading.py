"""Documents of a run as they are found: what they say, or the state that they are in. Nothing here raises.

present       the file holds one JSON object
missing       there is no such file
unreadable    anything else, with the reason: torn, not strict JSON, another shape, a link, a pipe, no permission
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.confined import read_below, reason_of
from picochat.core.errors import PicochatError
from picochat.core.jsonio import MAX_JSON_BYTES, parse_json

PRESENT, MISSING, UNREADABLE = "present", "missing", "unreadable"


class Found(NamedTuple):
    """A document of a run. `body` is empty unless `state` is present; `data` are the bytes as they were read."""

    path: str
    state: str
    why: str
    body: dict[str, Any]
    data: bytes = b""

    def value(self, *keys: str) -> Any:
        """Whatever stands at a path of keys, or None."""
        return value_at(self.body, *keys)

    def number(self, *keys: str) -> int | float | None:
        return number_of(self.value(*keys))


def find_document(root: Path, relative: str, max_bytes: int = MAX_JSON_BYTES) -> Found:
    """One document of a run folder."""
    try:
        data = read_below(root, relative, max_bytes)
    except OSError as err:
        return Found(relative, state_of(err), why_of(err, relative), {})
    try:
        body = parse_json(data, relative)
    except PicochatError as err:
        return Found(relative, UNREADABLE, err.detail, {}, data)
    if not isinstance(body, dict):
        return Found(relative, UNREADABLE, f"{relative} is a {type(body).__name__}, not an object", {}, data)
    return Found(relative, PRESENT, "", body, data)


def state_of(err: OSError) -> str:
    """The state of a file that could not be opened."""
    return MISSING if isinstance(err, FileNotFoundError) else UNREADABLE


def why_of(err: OSError, relative: str) -> str:
    """The same in words."""
    return f"{relative} does not exist" if isinstance(err, FileNotFoundError) else f"{relative}: {reason_of(err)}"


def value_at(obj: Any, *keys: str) -> Any:
    """Whatever stands at a path of keys, or None where the path ends early."""
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def number_of(value: Any) -> int | float | None:
    """A finite number as it is; anything else is unknown."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if ok else None


def text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def dict_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def numbers_of(value: Any, keys: Iterable[str] | None = None) -> dict[str, int | float | None]:
    """The numbers of an object, of all its keys or of those named; what is no number is None."""
    found = dict_of(value)
    return {key: number_of(found.get(key)) for key in (found if keys is None else keys)}
