"""Documents of a run as somebody who only looks reads them: what is missing is empty, what is broken has a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.confined import reason_of
from picochat.views.reading import UNREADABLE, find_document, list_of, number_of, text_of, value_at

Document = dict[str, Any]
MAX_BYTES = 64 * 1024 * 1024
__all__ = ["Document", "RunReader", "Unreadable", "list_at", "number_at", "text_at", "value_at"]


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
        found = find_document(self.root, relative, MAX_BYTES)
        if found.data:
            self.digests[relative] = hashlib.sha256(found.data).hexdigest()
        if found.state == UNREADABLE:
            self.refuse(relative, found.why)
        return found.body

    def refuse(self, relative: str, why: str) -> None:
        """Notes a file that cannot be used; `why` may begin with its name."""
        self.unreadable.append(Unreadable(relative, why.removeprefix(relative).lstrip(": ")))

    def refuse_error(self, relative: str, err: OSError) -> None:
        self.refuse(relative, reason_of(err))

    def hash_files(self, names: Iterable[str]) -> dict[str, str | None]:
        """sha256 by name; None for what cannot be read."""
        for name in names:
            if name not in self.digests:
                self.read(name)
        return {name: self.digests.get(name) for name in names}


def number_at(document: Any, *keys: str) -> Any:
    """The finite number at a path of keys, else None: what is not there is unknown, never 0."""
    return number_of(value_at(document, *keys))


def text_at(document: Any, *keys: str) -> str | None:
    """The text at a path of keys, else None."""
    return text_of(value_at(document, *keys))


def list_at(document: Any, *keys: str) -> list[Any]:
    """The list at a path of keys; empty for anything else."""
    return list_of(value_at(document, *keys))
