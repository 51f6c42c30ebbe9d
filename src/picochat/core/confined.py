"""Files below a folder that somebody else may have filled: no link is followed, and only regular files are opened.

A pipe would block whoever opens it, a link would lead out of the folder; both are refused like a file that is absent
for this purpose, with a reason.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_BYTES = 64 * 1024 * 1024


def open_below(root: Path, relative: str) -> BinaryIO:
    """The file at `root`/`relative`, opened for reading; the root itself may be a link.

    Raises FileNotFoundError where nothing lies and for a name that leads out of the folder, OSError for a link on the
    way, for what is no regular file, and for what may not be read.
    """
    here, name = _open_parent(root, relative)
    try:
        found = os.open(name, _FILE, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.EINVAL, "it is no regular file", str(root / relative))
    return os.fdopen(found, "rb")


def read_below(root: Path, relative: str, most_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file as `open_below` opens it. Raises OSError also for more than `most_bytes`."""
    with open_below(root, relative) as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than the {most_bytes:,} bytes that are read", str(root / relative))
    return data


def stat_below(root: Path, relative: str) -> os.stat_result | None:
    """What lies under the name itself, of whatever kind; None when nothing does, or a link stands on the way to it."""
    try:
        here, name = _open_parent(root, relative)
        try:
            return os.stat(name, dir_fd=here, follow_symlinks=False)
        finally:
            os.close(here)
    except OSError:
        return None


def _open_parent(root: Path, relative: str) -> tuple[int, str]:
    """A descriptor of the folder that holds the file, and the file's own name. Raises OSError."""
    *folders, name = relative.split("/")
    if "\0" in relative or any(part in ("", ".", "..") for part in (*folders, name)):
        raise FileNotFoundError(errno.ENOENT, "it is no name below the folder", relative)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for folder in folders:
        try:
            below = os.open(folder, _FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here, name


def reason_of(err: OSError) -> str:
    """Why a file could not be read, in words that name no path."""
    if err.errno in (errno.ELOOP, errno.EMLINK):
        return "it is a link, and links are not followed"
    if err.errno == errno.ENOTDIR:
        return "something on its way is no folder"
    return err.strerror or type(err).__name__
