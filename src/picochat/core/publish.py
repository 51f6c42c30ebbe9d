"""A folder of named byte streams on disk: the old folder or the new one after any crash, verified before it counts.

    publish_folder   lock, recover, write beside, sync, manifest last, swap, read back, remove what was displaced
    recover_folder   puts the folder back under its name after a crash and sweeps what the crash left

Only the holder of the writer lock renames or removes anything.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from picochat.core.errors import refuse
from picochat.core.failpoints import failpoint
from picochat.core.fs import (
    TMP_PREFIX,
    ComparingReader,
    HashingWriter,
    free_bytes,
    fsync_dir,
    raise_disk_error,
    sync_stream,
)
from picochat.core.hashing import sha256_file
from picochat.core.swap import Exchange, Swap, exchange_names, rename_durably

TRASH_PREFIX = ".trash-"
BROKEN_PREFIX = ".broken-"
PREVIOUS_SUFFIX = ".previous"
LOCK_NAME = ".lock"
SPACE_FACTOR = 1.2
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileDigest(NamedTuple):
    bytes: int
    sha256: str


Stream = Callable[[HashingWriter | ComparingReader], None]
"""Writes one file's bytes. It is called again to compare what was written, and after a disk error: always the same."""


class Staged(NamedTuple):
    """A file that somebody else has written, hashed and synced beside the folder; it is moved in."""

    path: Path
    digest: FileDigest


BuildManifest = Callable[[dict[str, FileDigest]], bytes]
Verify = Callable[[Path], bool]
"""Whether a folder is whole; it never raises on a damaged one."""


@dataclass(frozen=True)
class Published:
    """What stands on disk: read back and compared."""

    path: Path
    files: dict[str, FileDigest]
    exchanged: bool
    """False where the name was missing for an instant, or was new."""
    attempts: int
    leftover: Path | None
    """A displaced copy that could not be removed; the next save sweeps it."""


@dataclass(frozen=True)
class Recovery:
    """What recovery did: `restored` is the leftover that took the missing name."""

    restored: str | None
    swept: tuple[str, ...]


@contextmanager
def writer_lock(parent: Path) -> Iterator[None]:
    """An exclusive lock on a folder of publications; ends with the process. Raises `run.busy` naming the holder."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(parent / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as err:
        raise_disk_error(err, parent)
    try:
        _take_lock(descriptor, parent)
        yield
    finally:
        _drop_lock(descriptor, parent)


def _take_lock(descriptor: int, parent: Path) -> None:
    owner = f"pid {os.getpid()} {uuid.uuid4().hex}\n".encode()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner, 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        refuse("run.busy", f"{parent} is being written by another process ({holder or 'unknown'})")
    except OSError as err:
        raise_disk_error(err, parent / LOCK_NAME, len(owner))


def _drop_lock(descriptor: int, parent: Path) -> None:
    try:
        os.close(descriptor)
    except OSError as err:
        raise_disk_error(err, parent / LOCK_NAME)


def publish_folder(
    parent: Path,
    name: str,
    streams: Mapping[str, Stream],
    manifest: BuildManifest,
    *,
    verify: Verify,
    expected_bytes: int,
    manifest_name: str = "MANIFEST.json",
    keep_previous: bool = True,
    staged: Mapping[str, Staged] | None = None,
    exchange: Exchange = exchange_names,
) -> Published:
    """Durably replaces `parent/name` by a folder of the streams, the staged files, and a manifest over their digests.

    The old folder becomes `name.previous` when `keep_previous`. A disk error is answered by one more write from memory,
    unless files were staged: they are gone with the first try.
    Raises `run.busy`, `disk.full` or `disk.io`; the old folder then still stands under its name.
    """
    moved = dict(staged or {})
    for file in (name, manifest_name, *streams, *moved):
        _require_plain(file)
    with writer_lock(parent):
        try:
            recover_folder(parent, name, verify, manifest_name=manifest_name)
            _require_space(parent / name, expected_bytes)
        except OSError as err:
            raise_disk_error(err, parent / name, expected_bytes)
        for attempt in (1, 2):
            writing = _Attempt(parent, name, manifest_name, keep_previous, exchange)
            try:
                files = writing.write(streams, moved, manifest)
                leftover = writing.remove_displaced()
                return Published(parent / name, files, writing.swap.exchanged, attempt, leftover)
            except OSError as err:
                if attempt == 2 or moved or err.errno in NO_SPACE:
                    raise_disk_error(err, parent / name, expected_bytes)
    raise AssertionError("unreachable")


def recover_folder(parent: Path, name: str, verify: Verify, *, manifest_name: str = "MANIFEST.json") -> Recovery:
    """Gives a missing `name` back to the best whole leftover of a crash, then removes the other leftovers.

    A whole temporary folder is newer than the previous one. The caller holds `writer_lock`; twice does no harm.
    Raises OSError.
    """
    current, previous = parent / name, parent / (name + PREVIOUS_SUFFIX)
    leftovers = _leftovers(parent, TMP_PREFIX, name) + _leftovers(parent, TRASH_PREFIX, name)
    restored = None
    if not _is_named(current):
        candidates = [*_leftovers(parent, TMP_PREFIX, name), previous, *_leftovers(parent, TRASH_PREFIX, name)]
        whole = next((path for path in candidates if path.is_dir() and verify(path)), None)
        if whole is not None:
            rename_durably(whole, current)
            restored = whole.name
    swept = [path for path in leftovers if path.is_dir()]
    for path in swept:
        _remove_folder(path, manifest_name)
    return Recovery(restored, tuple(path.name for path in swept))


def set_aside_broken(parent: Path, name: str) -> Path:
    """Renames a damaged folder to `.broken-...`, for the post-mortem. The caller holds `writer_lock`."""
    target = parent / f"{BROKEN_PREFIX}{name}-{uuid.uuid4().hex}"
    try:
        rename_durably(parent / name, target)
    except OSError as err:
        raise_disk_error(err, parent / name)
    return target


class _Attempt:
    """One try at writing and swapping; whatever fails, the names are as they were and the temporary folder is gone."""

    def __init__(self, parent: Path, name: str, manifest_name: str, keep_previous: bool, exchange: Exchange) -> None:
        token = f"{name}-{uuid.uuid4().hex}"
        self._folder = parent / f"{TMP_PREFIX}{token}"
        self._current = parent / name
        self._manifest_name = manifest_name
        self._manifest = b""
        previous = parent / (name + PREVIOUS_SUFFIX) if keep_previous else None
        self.swap = Swap(self._folder, self._current, previous, parent / f"{TRASH_PREFIX}{token}", exchange)

    def write(
        self, streams: Mapping[str, Stream], staged: Mapping[str, Staged], manifest: BuildManifest
    ) -> dict[str, FileDigest]:
        """Raises OSError after undoing everything, or `disk.io` with everything kept when even that fails."""
        try:
            files = self._write_files(streams, staged, manifest)
            self.swap.run()
            _require_same(self._current, {**streams, self._manifest_name: bytes_stream(self._manifest)})
            _require_digests(self._current, {name: entry.digest for name, entry in staged.items()})
            failpoint("ckpt.before_ack")
        except BaseException:
            self._undo()
            raise
        return files

    def _undo(self) -> None:
        try:
            self.swap.undo()
            _remove_folder(self._folder, self._manifest_name)
        except OSError as err:
            raise_disk_error(err, self._folder)

    def remove_displaced(self) -> Path | None:
        """The new folder is safe by now, so a copy that resists removal is left to the next sweep, and named."""
        displaced = self.swap.displaced
        try:
            if displaced is not None:
                _remove_folder(displaced, self._manifest_name)
        except OSError:
            return displaced
        return None

    def _write_files(
        self, streams: Mapping[str, Stream], staged: Mapping[str, Staged], manifest: BuildManifest
    ) -> dict[str, FileDigest]:
        os.mkdir(self._folder)
        failpoint("ckpt.after_mkdir")
        files = {}
        for name in sorted(streams):
            files[name] = _write_file(self._folder / name, streams[name])
            failpoint("ckpt.after_file")
        for name, entry in staged.items():
            os.rename(entry.path, self._folder / name)
            files[name] = entry.digest
        failpoint("ckpt.before_manifest")
        self._manifest = manifest(dict(files))
        files[self._manifest_name] = _write_file(self._folder / self._manifest_name, bytes_stream(self._manifest))
        failpoint("ckpt.after_manifest")
        fsync_dir(self._folder)
        failpoint("ckpt.after_dir_fsync")
        return files


def _write_file(path: Path, stream: Stream) -> FileDigest:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(descriptor, "wb") as raw:
        writer = HashingWriter(raw)
        stream(writer)
        sync_stream(raw)
    return FileDigest(writer.bytes, writer.sha256)


def bytes_stream(data: bytes) -> Stream:
    """A stream of bytes that are in memory already."""

    def write(writer: HashingWriter | ComparingReader) -> None:
        writer.write(data)

    return write


def _require_same(folder: Path, streams: Mapping[str, Stream]) -> None:
    """Reads the published folder back. Raises OSError(EIO) when the disk gives other bytes than memory."""
    for name, stream in streams.items():
        with open(folder / name, "rb", buffering=0) as raw:
            reader = ComparingReader(raw, folder / name)
            stream(reader)
            reader.require_end()


def _require_digests(folder: Path, digests: Mapping[str, FileDigest]) -> None:
    """Hashes files that others wrote. Raises OSError(EIO) when they hold other bytes than were reported."""
    for name, digest in digests.items():
        if (folder / name).stat().st_size != digest.bytes or sha256_file(folder / name) != digest.sha256:
            raise OSError(errno.EIO, "other bytes were read back than a rank has written", str(folder / name))


def stage_file(parent: Path, name: str, stream: Stream) -> Staged:
    """Writes a file beside a folder that is to be published, for whoever publishes it. Raises OSError."""
    path = parent / f"{TMP_PREFIX}{name}-{uuid.uuid4().hex}"
    try:
        digest = _write_file(path, stream)
        failpoint("ckpt.slice")
        return Staged(path, digest)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _remove_folder(folder: Path, manifest_name: str) -> None:
    """Removes the manifest first, so that half a folder never looks whole. A missing folder is removed already."""
    if not folder.is_dir():
        return
    (folder / manifest_name).unlink(missing_ok=True)
    fsync_dir(folder)
    failpoint("ckpt.mid_trash")
    shutil.rmtree(folder)
    fsync_dir(folder.parent)


def _is_named(path: Path) -> bool:
    """Whether the name is taken. A disk error is raised and never read as "free"."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _leftovers(parent: Path, prefix: str, name: str) -> list[Path]:
    """Folders of earlier attempts at this very name, in a fixed order."""
    found = parent.glob(f"{prefix}{name}-{'[0-9a-f]' * 32}")
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _require_space(path: Path, expected_bytes: int) -> None:
    needed, free = int(expected_bytes * SPACE_FACTOR), free_bytes(path)
    if free < needed:
        refuse("disk.full", f"no space left for {path}: {needed:,} bytes are needed and {free:,} bytes are free")


def _require_plain(name: str) -> None:
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no plain file name")
