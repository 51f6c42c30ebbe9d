"""Tar archives of exactly one form: regular files in the order of their names, no time, no owner, no compression.

Equal files give equal archives. A reader takes nothing else, so there is nothing in an archive that could lead out of
its folder: no link, no device, no folder, no name that is not plain, no header that speaks of another.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from picochat.core.errors import refuse
from picochat.core.fs import free_bytes, raise_disk_error

BLOCK = 512
RECORD = 20 * BLOCK
MAX_NAME = 100
MAX_FILES = 200_000
_MODE = 0o644
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
"""Plain words and slashes: no part of a name begins with a dot, so none leads upwards and none is hidden."""
_CHUNK = 1 << 20


class Member(NamedTuple):
    """A file of an archive; its bytes begin at `offset`."""

    name: str
    bytes: int
    offset: int


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


def is_plain(name: str) -> bool:
    """Whether an archive may hold a file of this name."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def write_tar(out: Sink, files: Iterable[tuple[str, int, Readable]]) -> None:
    """Writes (name, size, bytes), in the order of their names. Raises `bundle.name`."""
    before = ""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, bufsize=RECORD) as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for name, size, stream in files:
            if not is_plain(name) or name <= before:
                refuse("bundle.name", f"{name!r} has no place in a bundle after {before!r}")
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, _MODE
            archive.addfile(info, stream)  # pyright: ignore[reportArgumentType]
            before = name


def read_members(path: Path) -> list[Member]:
    """The files of an archive, after every header was compared with the one form. Raises `bundle.tar`."""
    try:
        with path.open("rb") as stream:
            return list(_iter_members(stream, path.stat().st_size))
    except OSError as err:
        refuse("bundle.tar", f"{path}: {err.strerror}")


def _iter_members(stream: IO[bytes], total: int) -> Iterator[Member]:
    before, count = "", 0
    while True:
        header = stream.read(BLOCK)
        if header == bytes(BLOCK):
            break
        member = _read_header(header, stream.tell())
        count += 1
        if count > MAX_FILES:
            refuse("bundle.tar", f"the archive has more than {MAX_FILES:,} files")
        if member.name <= before:
            refuse("bundle.tar", f"{member.name!r} stands after {before!r}: names stand once and in order")
        end = member.offset + member.bytes
        padding = -end % BLOCK
        if end + padding > total:
            refuse("bundle.tar", f"{member.name!r} has {member.bytes:,} bytes, more than the archive holds")
        stream.seek(end)
        if stream.read(padding) != bytes(padding):
            refuse("bundle.tar", f"{member.name!r} is followed by bytes that belong to no file")
        before = member.name
        yield member
    rest = stream.read(RECORD + 1)
    if count == 0 or len(rest) > RECORD or rest != bytes(len(rest)) or len(rest) < BLOCK or total % RECORD:
        refuse("bundle.tar", "the archive does not end where its last file ends")


def _read_header(header: bytes, offset: int) -> Member:
    """A header of the one form: it is built again from name and size, and must be the same to the byte."""
    if len(header) != BLOCK:
        refuse("bundle.tar", "the archive is cut short")
    name = header[:MAX_NAME].rstrip(b"\0").decode("ascii", "replace")
    if not is_plain(name):
        refuse("bundle.tar", f"{name[:80]!r} is no plain name")
    size = _read_size(header[124:136])
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, _MODE
    if info.tobuf(tarfile.GNU_FORMAT) != header:
        refuse("bundle.tar", f"the header of {name!r} is not one that `picochat bundle` writes")
    return Member(name, size, offset)


def _read_size(field: bytes) -> int:
    """Octal, or from 8 GiB on the number itself behind a mark."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.rstrip(b"\0 ")
    if not re.fullmatch(rb"[0-7]{1,11}", digits):
        refuse("bundle.tar", "a header without a size")
    return int(digits, 8)


def extract(path: Path, folder: Path) -> list[str]:
    """Writes every file of an archive below an empty folder; returns their names. Raises `bundle.tar` or `disk.*`."""
    members = read_members(path)
    needed = sum(member.bytes for member in members)
    if needed > free_bytes(folder):
        refuse("disk.full", f"{path} holds {needed:,} bytes and {free_bytes(folder):,} bytes are free in {folder}")
    with path.open("rb") as stream:
        for member in members:
            _extract_one(stream, member, folder)
    return [member.name for member in members]


def _extract_one(stream: IO[bytes], member: Member, folder: Path) -> None:
    target = folder / member.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            stream.seek(member.offset)
            left = member.bytes
            while left:
                piece = stream.read(min(left, _CHUNK))
                if not piece:
                    refuse("bundle.tar", f"{member.name!r} is cut short")
                out.write(piece)
                left -= len(piece)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        refuse("bundle.tar", f"{member.name!r} is both a file and a folder")
    except OSError as err:
        raise_disk_error(err, target, member.bytes)


def as_stream(data: bytes) -> IO[bytes]:
    return io.BytesIO(data)
