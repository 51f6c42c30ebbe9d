"""Single files on disk: written beside, synced, renamed, the folder synced. The old file or the new one, never half.

`core/publish.py` does the same for a folder of files. No other module calls fsync or replace.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from picochat.core.errors import refuse
from picochat.core.failpoints import failpoint
from picochat.core.jsonio import pretty_json

TMP_PREFIX = ".tmp-"
LIVE_PREFIX = ".live-"
"""Of files that are replaced all the time: sweeping them would hit a writer at work."""
OVERLAP_BYTES = 1 << 20


class HashingWriter:
    """A binary writer that counts and hashes what goes through it; large pieces are hashed while they are written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes | memoryview) -> int:
        size = memoryview(data).nbytes
        if size < OVERLAP_BYTES:
            self._stream.write(data)
            self._hash.update(data)
        else:
            hashing = threading.Thread(target=self._hash.update, args=(data,))
            hashing.start()
            try:
                self._stream.write(data)
            finally:
                hashing.join()
        self.bytes += size
        return size

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class ComparingReader:
    """Stands in for a writer whose bytes are on disk already: reads as much as is given and compares.

    Compared are bytes, not digests, which takes a fifth of the time. Raises OSError(EIO) at the first difference.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._piece = bytearray(OVERLAP_BYTES)
        self._at = 0

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        for begin in range(0, view.nbytes, OVERLAP_BYTES):
            wanted = view[begin : begin + OVERLAP_BYTES]
            piece = self._piece if wanted.nbytes == OVERLAP_BYTES else bytearray(wanted.nbytes)
            if self._stream.readinto(piece) != wanted.nbytes or piece != wanted:  # pyright: ignore[reportAttributeAccessIssue]
                self._refuse()
            self._at += wanted.nbytes
        return view.nbytes

    def require_end(self) -> None:
        if self._stream.read(1):
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise OSError(errno.EIO, f"other bytes were read back than written, after byte {self._at:,}", str(self._path))


def raise_disk_error(err: OSError, path: Path, needed_bytes: int | None = None) -> NoReturn:
    """Turns an OSError into `disk.full` with both numbers, or `disk.io`."""
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = f"{needed_bytes:,} bytes are needed and " if needed_bytes else ""
        refuse("disk.full", f"no space left for {path}: {needed}{free_bytes(path):,} bytes are free")
    refuse("disk.io", f"{path}: {err.strerror or err} (errno {err.errno})")


def free_bytes(path: Path) -> int:
    """Free bytes of the file system that holds `path` or its nearest existing parent."""
    probe = path.absolute()
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    return shutil.disk_usage(probe).free


def fsync_dir(path: Path) -> None:
    """Makes the names of a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_stream(stream: IO[bytes]) -> None:
    """Flush and fsync an open file. An error here means that the bytes are not on disk; it is never retried."""
    stream.flush()
    os.fsync(stream.fileno())


@contextlib.contextmanager
def atomic_writer(path: Path, *, keep_old: bool = False) -> Iterator[HashingWriter]:
    """A durable replacement of one file: the name changes only after the bytes are on disk.

    With `keep_old` the old file is moved aside under a number and not replaced.

    Raises `disk.full` or `disk.io`; on any error the old file is untouched and no temporary file is left.
    """
    temporary = path.with_name(f"{TMP_PREFIX}{uuid.uuid4().hex}")
    writer: HashingWriter | None = None
    try:
        with open(temporary, "xb") as stream:
            writer = HashingWriter(stream)
            yield writer
            sync_stream(stream)
        failpoint("file.before_publish")
        if keep_old:
            move_aside(path)
        os.replace(temporary, path)
        fsync_dir(path.parent)
    except OSError as err:
        raise_disk_error(err, path, writer.bytes if writer else None)
    finally:
        with contextlib.suppress(OSError):  # the error that matters is the first one
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes, *, keep_old: bool = False) -> None:
    """Durably replaces `path` by `data`; with `keep_old` the old file keeps a numbered name."""
    with atomic_writer(path, keep_old=keep_old) as writer:
        writer.write(data)


def write_json(path: Path, obj: Any) -> None:
    """Durably writes the canonical readable form."""
    write_atomic(path, pretty_json(obj))


def write_volatile(path: Path, data: bytes) -> None:
    """Replaces a file atomically but without fsync: for live files that are worthless after a power cut."""
    temporary = path.with_name(f"{LIVE_PREFIX}{path.name}-{threading.get_ident()}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as err:
        raise_disk_error(err, path, len(data))
    finally:
        with contextlib.suppress(OSError):  # the error that matters is the first one
            temporary.unlink(missing_ok=True)


def sweep_temporaries(root: Path) -> list[Path]:
    """Removes what writers of single files left below `root` when they died. Only for whoever holds the run's lock.

    Temporary folders are left to `core/publish.py`, which looks whether one is whole.
    """
    found = [path for path in root.rglob(f"{TMP_PREFIX}*") if path.is_file() and not path.is_symlink()]
    for path in found:
        path.unlink(missing_ok=True)
    return found


def move_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Moves those of the named files that are there to another folder of the same disk, over older ones.

    The folders of the names exist in both. Raises `disk.io`.
    """
    found = [name for name in names if (source / name).exists()]
    try:
        for name in found:
            os.replace(source / name, target / name)
        for folder in {(target / name).parent for name in found}:
            fsync_dir(folder)
    except OSError as err:
        raise_disk_error(err, target)


def move_aside(path: Path) -> Path | None:
    """Renames `report.json` to `report.001.json` (the first free number), so that evidence is never overwritten."""
    if not path.exists():
        return None
    for number in range(1, 100_000):
        target = path.with_name(f"{path.stem}.{number:03d}{path.suffix}")
        if not target.exists():
            os.rename(path, target)
            fsync_dir(path.parent)
            return target
    refuse("disk.io", f"{path} has 99,999 older records")


def make_dir(path: Path) -> None:
    """Creates a folder and its parents, and makes the new name durable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        fsync_dir(path.parent)
    except FileExistsError:
        refuse("usage.path", f"{path} exists and is not a folder")
    except OSError as err:
        raise_disk_error(err, path)
