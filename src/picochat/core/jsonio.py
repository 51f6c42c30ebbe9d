"""Strict JSON: what is read has no duplicate keys and no NaN, what is written has one canonical form."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse

MAX_JSON_BYTES = 256 * 1024 * 1024
ESCAPE_SURROGATES = "backslashreplace"
"""Half a surrogate pair, as it stands in the name of a file that is not UTF-8, becomes its JSON escape."""


def canonical_json(obj: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, no NaN: the bytes over which digests are taken."""
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        errors=ESCAPE_SURROGATES
    )


def pretty_json(obj: Any) -> bytes:
    """The form of root files: sorted keys, one a line, a final newline. Reading and writing again changes no byte."""
    return (json.dumps(obj, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(
        errors=ESCAPE_SURROGATES
    )


def finite(obj: Any) -> Any:
    """The object with null for every number that is not finite: JSON has none."""
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, dict):
        return {key: finite(value) for key, value in obj.items()}
    return [finite(item) for item in obj] if isinstance(obj, list | tuple) else obj


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(k for k in keys if keys.count(k) > 1)!r} stands twice")
    return out


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json(data: bytes, what: str, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Parses strict JSON. Raises `json.invalid`, naming `what`, on anything else."""
    if len(data) > max_bytes:
        refuse("json.invalid", f"{what} has {len(data):,} bytes, more than the {max_bytes:,} that are read")
    try:
        return json.loads(data.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        refuse("json.invalid", f"{what} is not strict JSON: {err}")


def read_json(path: Path) -> Any:
    """Reads one strict JSON document. Raises `artifact.missing` or `json.invalid`."""
    try:
        with open_file(path) as stream:
            data = stream.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        refuse("artifact.missing", f"{path} does not exist")
    return parse_json(data, str(path))


def open_file(path: Path) -> BufferedReader:
    """A file to read from the start. A folder and a pipe are none: whoever opens a pipe waits, perhaps for ever.

    Raises IsADirectoryError for these two, and OSError as `open` does.
    """
    found = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(found).st_mode
    if stat.S_ISDIR(mode) or stat.S_ISFIFO(mode):
        os.close(found)
        raise IsADirectoryError(errno.EISDIR, "it is no file", str(path))
    return os.fdopen(found, "rb")


def iter_jsonl(path: Path, *, torn_tail: bool = False) -> Iterator[Any]:
    """Yields the objects of a JSON Lines file. `torn_tail` forgives an unfinished last line, as a crash leaves it."""
    try:
        stream = open_file(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        refuse("artifact.missing", f"{path} does not exist")
    with stream:
        for number, line in enumerate(stream, 1):
            if torn_tail and not line.endswith(b"\n"):
                return
            if line.strip():
                yield parse_json(line, f"{path} line {number}")


def jsonl_bytes(rows: list[Any]) -> bytes:
    """Canonical JSON Lines."""
    return b"".join(canonical_json(row) + b"\n" for row in rows)
