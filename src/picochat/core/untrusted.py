"""A folder that somebody else filled: opened once, its regular files read by plain names, nothing followed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import parse_json

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class SeenFile(NamedTuple):
    """Size and digest of a file as it was read."""

    bytes: int
    sha256: str


class UntrustedFolder:
    """Its files, each relative to one descriptor, so that nobody can put another folder under the name meanwhile.

    `seen` is what was read so far. Raises `usage.path` for what is no folder, `foreign.file` for a link to one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: dict[str, SeenFile] = {}
        try:
            self._descriptor = os.open(path, _OPEN | os.O_DIRECTORY)
        except OSError as err:
            if path.is_symlink():
                refuse("foreign.file", f"{path} is a link")
            reason = "is not a folder" if path.exists() else "does not exist"
            refuse("usage.path", f"{path} {reason}" if err.errno != errno.EACCES else f"{path}: {err.strerror}")

    def __enter__(self) -> UntrustedFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """What lies in the folder, of any kind, in the order of the names."""
        return sorted(os.listdir(self._descriptor))

    def has(self, name: str) -> bool:
        return name in self.names()

    def open(self, name: str) -> BinaryIO:
        """A regular file, unbuffered. A pipe or device is refused without waiting for it. Raises `foreign.file`."""
        if not name or name in {".", ".."} or "/" in name or "\0" in name:
            refuse("foreign.file", f"{name!r} is no plain file name")
        where = self.path / name
        try:
            if not stat.S_ISREG(os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode):
                refuse("foreign.file", f"{where} is not a regular file")
            descriptor = os.open(name, _OPEN | os.O_NONBLOCK, dir_fd=self._descriptor)
        except FileNotFoundError:
            refuse("foreign.file", f"{where} does not exist", why="the folder lacks a part of the model")
        except OSError as err:
            refuse("foreign.file", f"{where}: {err.strerror}")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            refuse("foreign.file", f"{where} is not a regular file")
        return open(descriptor, "rb", buffering=0)

    def read(self, name: str, max_bytes: int) -> bytes:
        """The whole of a small file. Raises `foreign.file`, also for one of more than `max_bytes`."""
        where = self.path / name
        with self.open(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                refuse("foreign.file", f"{where} has {size:,} bytes, at most {max_bytes:,} are read", why="")
            pieces = []
            while (left := max_bytes + 1 - sum(map(len, pieces))) > 0 and (piece := stream.read(left)):
                pieces.append(piece)
        data = b"".join(pieces)
        if len(data) != size:
            refuse("foreign.file", f"{where} changed while it was read: {len(data):,} bytes after {size:,}", why="")
        self.seen[name] = SeenFile(size, sha256_bytes(data))
        return data

    def read_object(self, name: str, max_bytes: int) -> dict[str, Any]:
        """A small file with one strict JSON object. Raises `foreign.file` or `json.invalid`."""
        found = parse_json(self.read(name, max_bytes), str(self.path / name))
        if not isinstance(found, dict):
            refuse("json.invalid", f"{self.path / name} is a {type(found).__name__}, not an object")
        return found
