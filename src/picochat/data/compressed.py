"""Files that may be compressed, read as one plain stream of bytes: `.gz` and `.zst` by name, everything else as it is.

A file that ends too early is never taken for a short one. The zstd library ends a stream silently where its file was
cut, so the frames and blocks of a `.zst` are walked before the first byte is given out; that reads a few bytes in
every 128 KiB.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from picochat.core.errors import refuse
from picochat.core.extras import require_extra

SUFFIXES = (".gz", ".zst")
BUFFER_BYTES = 1 << 18
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_ENDS = "ends in the middle of its compressed data"
_REPEATED_BYTE, _RESERVED = 1, 3
"""Types of a block of zstd."""


def split_suffix(name: str) -> tuple[str, str]:
    """(name without its compression, `.gz`, `.zst` or nothing)."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], name[-len(suffix) :].lower()
    return name, ""


def open_stream(path: Path) -> io.BufferedReader:
    """Opens a file for reading, unpacked when its name ends in `.gz` or `.zst`.

    Raises `source.truncated`, `source.layout` or `source.corrupt` here or while it is read, `usage.extra` for `.zst`
    without the package zstandard, and OSError.
    """
    suffix = split_suffix(path.name)[1]
    stream: io.BufferedReader = io.BufferedReader(io.FileIO(path), BUFFER_BYTES)
    if not suffix:
        return stream
    try:
        unpacked = _open_gzip(path, stream) if suffix == ".gz" else _open_zstd(path, stream)
        return io.BufferedReader(_Unpacked(path, stream, unpacked), BUFFER_BYTES)
    except BaseException:
        stream.close()
        raise


def place_in_file(stream: io.BufferedReader) -> int:
    """How many bytes of the file itself, packed or not, have been read."""
    return stream.raw.place() if isinstance(stream.raw, _Unpacked) else stream.tell()


class _Unpacked(io.RawIOBase):
    """The unpacked bytes; every way in which packed data can be broken is a refusal that names the file and place."""

    def __init__(self, path: Path, packed: BinaryIO, unpacked: Any) -> None:
        self._path, self._packed, self._unpacked = path, packed, unpacked

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._unpacked.readinto(buffer)
        except EOFError:
            refuse("source.truncated", f"{self._path} {_ENDS}, after byte {self.place():,}")
        except (gzip.BadGzipFile, zlib.error) as err:
            self._refuse(err)
        except Exception as err:  # zstandard is not imported where nothing is packed with it
            if type(err).__name__ != "ZstdError":
                raise
            self._refuse(err)

    def _refuse(self, err: Exception) -> NoReturn:
        refuse("source.corrupt", f"{self._path} cannot be unpacked near byte {self.place():,}: {err}")

    def place(self) -> int:
        return self._packed.tell()

    def close(self) -> None:
        if not self.closed:
            self._unpacked.close()
            self._packed.close()
        super().close()


def _open_gzip(path: Path, stream: BinaryIO) -> gzip.GzipFile:
    head = stream.read(2)
    if head != b"\x1f\x8b":
        _refuse_head(path, head, "gzip")
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream)


def _open_zstd(path: Path, stream: BinaryIO) -> Any:
    zstandard = require_extra("zstandard", f"{path} is packed with zstd")
    _require_whole_zstd(path, stream)
    stream.seek(0)
    return zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True, closefd=False)


def _refuse_head(path: Path, head: bytes, name: str) -> NoReturn:
    if not head:
        refuse("source.truncated", f"{path} has 0 bytes; a {name} file is never empty")
    refuse("source.layout", f"{path} is not {name}: it begins with {head!r}")


def _require_whole_zstd(path: Path, stream: BinaryIO) -> None:
    """Walks the frames of the file without unpacking them (format: RFC 8878, section 3.1)."""
    size = os.fstat(stream.fileno()).st_size

    def read(count: int) -> bytes:
        data = stream.read(count)
        if len(data) < count:
            refuse("source.truncated", f"{path} {_ENDS}, at byte {size:,}")
        return data

    def skip(count: int) -> None:
        if stream.tell() + count > size:
            refuse("source.truncated", f"{path} {_ENDS}, at byte {size:,}")
        stream.seek(count, os.SEEK_CUR)

    if size < 4:
        _refuse_head(path, stream.read(4), "zstd")
    while stream.tell() < size:
        start, head = stream.tell(), read(4)
        if head == _MAGIC:
            _walk_frame(path, read, skip)
        elif head[1:] == _SKIPPABLE and head[0] >> 4 == 5:
            skip(int.from_bytes(read(4), "little"))
        elif start == 0:
            _refuse_head(path, head, "zstd")
        else:
            refuse("source.corrupt", f"{path} has bytes at {start:,} that are no frame of zstd: {head!r}")


def _walk_frame(path: Path, read: Callable[[int], bytes], skip: Callable[[int], None]) -> None:
    descriptor = read(1)[0]
    single = descriptor >> 5 & 1
    content_size = (single, 2, 4, 8)[descriptor >> 6]
    skip((1 - single) + (0, 1, 2, 4)[descriptor & 3] + content_size)
    last = 0
    while not last:
        header = int.from_bytes(read(3), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            refuse("source.corrupt", f"{path} has a block of a type that zstd does not know")
        skip(1 if kind == _REPEATED_BYTE else size)
    skip(4 if descriptor & 4 else 0)
