"""A new folder that appears under its name when it is complete, or not at all.

It is filled beside its name, in a hidden folder that its writer holds locked: whoever comes later can tell a writer at
work from one that died, and sweeps only the second.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from picochat.core.errors import refuse
from picochat.core.failpoints import failpoint
from picochat.core.fs import TMP_PREFIX, fsync_dir, raise_disk_error

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TOKEN = re.compile(r"[0-9a-f]{32}")
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


def require_free(target: Path, code: str) -> None:
    """Refuses with `code` when the name is taken; an empty folder is as good as none."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        refuse(code, f"{target} exists and is not a folder")
    if target.is_dir() and any(target.iterdir()):
        refuse(code, f"{target} is not empty")


@contextlib.contextmanager
def new_folder(target: Path, code: str) -> Iterator[Path]:
    """The folder to fill, which becomes `target` when the block ends well; on any error nothing of it is left.

    The files in it are made durable by whoever writes them. Raises `code` when the name is taken, also by another
    process meanwhile: the first to finish has it. Raises `disk.full` or `disk.io`.
    """
    require_free(target, code)
    try:
        folder, descriptor = _begin(target.absolute().parent, target.name)
    except OSError as err:
        raise_disk_error(err, target)
    try:
        yield folder
        failpoint("folder.before_publish")
        _publish(folder, target, code)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def _begin(parent: Path, name: str) -> tuple[Path, int]:
    """A folder beside the name, and the descriptor that holds it. One that was swept before it was held is made again.

    The lock is on the folder itself, so that no file of it stays behind.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent, name)
    while True:
        folder = parent / f"{TMP_PREFIX}{name}-{uuid.uuid4().hex}"
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, _OPEN)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, descriptor
            os.close(descriptor)


def _publish(folder: Path, target: Path, code: str) -> None:
    try:
        for below in sorted(path for path in folder.rglob("*") if path.is_dir()):
            fsync_dir(below)
        fsync_dir(folder)
        os.rename(folder, target)
        fsync_dir(target.absolute().parent)
    except OSError as err:
        if err.errno in _TAKEN:
            refuse(code, f"{target} was filled by another process meanwhile")
        raise_disk_error(err, target)


def _sweep(parent: Path, name: str) -> None:
    """Removes what writers of this name left when they died."""
    begin = f"{TMP_PREFIX}{name}-"
    for path in parent.iterdir():
        if not path.name.startswith(begin) or not _TOKEN.fullmatch(path.name, len(begin)) or path.is_symlink():
            continue
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(path, _OPEN)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)
