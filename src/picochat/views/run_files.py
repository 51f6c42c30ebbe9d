"""Documents of a run as somebody who only looks reads them: what is missing is None, what is broken has a reason.

No link below the run is followed, so that what is shown is the run's own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.confined import read_below, reason_of
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json

Document = dict[str, Any]


class Unreadable(NamedTuple):
    """A file that is there and cannot be used."""

    file: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"


class RunReader:
    """Reads documents of one run and remembers which of them could not be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: list[Unreadable] = []
        self.digests: dict[str, str] = {}
        """sha256 of every file that was read."""

    def read(self, relative: str) -> Document:
        """The JSON object of a file; {} for a missing or unreadable one."""
        return self.find(relative) or {}

    def find(self, relative: str) -> Document | None:
        """The JSON object of a file; None for a missing or unreadable one."""
        try:
            data = read_below(self.root, relative)
            self.digests[relative] = hashlib.sha256(data).hexdigest()
            value = parse_json(data, relative)
        except FileNotFoundError:
            return None
        except PicochatError as err:
            self.refuse(relative, err.detail.removeprefix(f"{relative} "))
        except OSError as err:
            self.refuse(relative, reason_of(err))
        else:
            if isinstance(value, dict):
                return value
            self.refuse(relative, "it holds no JSON object")
        return None

    def hash_files(self, names: Iterable[str]) -> dict[str, str | None]:
        """sha256 by name; None for what cannot be read."""
        for name in names:
            if name not in self.digests:
                self.find(name)
        return {name: self.digests.get(name) for name in names}

    def refuse(self, relative: str, why: str) -> None:
        self.unreadable.append(Unreadable(relative, why))


def number_at(document: Any, *keys: str) -> Any:
    """The finite number at a path of keys, else None: what is not there is unknown, never 0."""
    value = value_at(document, *keys)
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None


def text_at(document: Any, *keys: str) -> str | None:
    """The text at a path of keys, else None."""
    value = value_at(document, *keys)
    return value if isinstance(value, str) else None


def value_at(document: Any, *keys: str) -> Any:
    """Whatever stands at a path of keys, or None."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def list_at(document: Any, *keys: str) -> list[Any]:
    """The list at a path of keys; empty for anything else."""
    value = value_at(document, *keys)
    return value if isinstance(value, list) else []
