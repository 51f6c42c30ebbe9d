"""A file below a folder that somebody else may have filled: no link is followed, no pipe is waited for.

open_below(root, "logs/rank0.log") -> a stream of a regular file
stat_below(root, "logs/rank0.log") -> what lies under the name, whatever it is
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from picochat.core.errors import refuse

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def open_below(root: Path, relative: str) -> BinaryIO:
    """An unbuffered stream of a regular file. Raises `artifact.missing`, or `artifact.special` for anything else.

    A link, pipe, device or folder under the name, a link to a folder on the way to it, and a file that cannot be read
    are all special.
    """
    where = root / relative
    try:
        folder, name = _open_parent(root, relative)
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as err:
        if err.errno in _ABSENT:
            refuse("artifact.missing", f"{where} does not exist")
        refuse("artifact.special", f"{where}: {_reason(err)}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        refuse("artifact.special", f"{where} is not a regular file")
    return open(descriptor, "rb", buffering=0)


def stat_below(root: Path, relative: str) -> os.stat_result | None:
    """What lies under the name itself; None when nothing does, or a link stands on the way to it."""
    try:
        folder, name = _open_parent(root, relative)
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)
    except (OSError, ValueError):
        return None


def read_below(root: Path, relative: str, max_bytes: int) -> bytes:
    """The whole of a file. Raises as `open_below`, and `artifact.special` for one of more than `max_bytes`."""
    with open_below(root, relative) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            refuse("artifact.special", f"{root / relative} has {size:,} bytes, at most {max_bytes:,} are read")
        pieces, left = [], max_bytes
        while left > 0 and (piece := stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def _open_parent(root: Path, relative: str) -> tuple[int, str]:
    """A descriptor of the folder that holds the file, and the file's own name. Raises OSError."""
    *folders, name = relative.split("/")
    if "\0" in relative or not name or any(part in ("", ".", "..") for part in (*folders, name)):
        raise FileNotFoundError(errno.ENOENT, "no plain name", relative)
    current = os.open(root, _FOLDER)
    for part in folders:
        try:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = inner
    return current, name


def _reason(err: OSError) -> str:
    return "is a link" if err.errno == errno.ELOOP else str(err.strerror or err)
