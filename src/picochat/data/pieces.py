"""A pack cut into pieces of work: some files, or a stretch of a large one. Whoever works on a piece needs nothing else.

The cuts follow from names and sizes alone, so they are the same on every machine and for any number of processes. Sizes
and times of change are part of a piece: a file that is another one when it is read is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from picochat.core.errors import refuse
from picochat.data.builtin import BUILTIN_PATHS
from picochat.data.files import DEFAULT_INCLUDE, FoundFile, iter_files
from picochat.data.imports.reader import import_files, is_import
from picochat.data.pack import LoadedPack, Source
from picochat.data.row_files import ROW_KINDS, kind_of, plan_ranges

PIECE_BYTES = 32 * 1024 * 1024
MAX_PIECE_FILES = 20_000


class PieceFile(NamedTuple):
    """A file as it was found: its name below the source's folder, or the reason why it cannot be read."""

    name: str
    path: str
    size: int
    mtime_ns: int
    problem: str | None = None


class Piece(NamedTuple):
    """Work on one source: whole files, or the range `begin` to `end` of one file of rows. Built-in text has no file."""

    number: int
    source: int
    files: tuple[PieceFile, ...]
    begin: int = 0
    end: int | None = None
    bytes: int = 0
    """About what is read for it."""


def iter_pieces(loaded: LoadedPack) -> Iterator[Piece]:
    """The pieces of all sources in pack order. Raises `usage.path`, `source.loop` or what a file of rows raises."""
    number = 0
    for place, source in enumerate(loaded.pack.sources):
        for cut in _iter_source(loaded, source):
            yield Piece(number, place, *cut)
            number += 1


class _Cut(NamedTuple):
    """A piece without its numbers."""

    files: tuple[PieceFile, ...]
    begin: int = 0
    end: int | None = None
    bytes: int = 0


def _iter_source(loaded: LoadedPack, source: Source) -> Iterator[_Cut]:
    if source.path in BUILTIN_PATHS:
        yield _Cut(())
        return
    waiting: list[PieceFile] = []
    size = 0
    for file in _iter_found(loaded, source):
        if is_large_rows(source, file):
            if waiting:
                yield _Cut(tuple(waiting), bytes=size)
                waiting, size = [], 0
            yield from _cut_rows(file, plan_ranges(Path(file.path), _kind(source, file), PIECE_BYTES))
            continue
        waiting.append(file)
        size += file.size
        if size >= PIECE_BYTES or len(waiting) >= MAX_PIECE_FILES:
            yield _Cut(tuple(waiting), bytes=size)
            waiting, size = [], 0
    if waiting:
        yield _Cut(tuple(waiting), bytes=size)


def _cut_rows(file: PieceFile, ranges: list[tuple[int, int | None]]) -> Iterator[_Cut]:
    """Ranges count bytes, or the row groups of a Parquet file; each takes its share of the file's bytes."""
    whole = ranges[-1][1]
    for begin, end in ranges:
        share = file.size if end is None or not whole else file.size * (end - begin) // whole
        yield _Cut((file,), begin, end, share)


def is_large_rows(source: Source, file: PieceFile) -> bool:
    """Whether a file is one of rows and so large that it is shared."""
    rows = source.text is not None and _kind(source, file) in ROW_KINDS
    return rows and file.problem is None and file.size > PIECE_BYTES


def _kind(source: Source, file: PieceFile) -> str:
    return (kind_of(file.name) or "text") if source.format == "auto" else source.format


def _iter_found(loaded: LoadedPack, source: Source) -> Iterator[PieceFile]:
    """The files of a source with their sizes."""
    path = loaded.source_path(source)
    if path.is_dir():
        if is_import(path):
            found: Iterator[FoundFile] = (FoundFile(file.name, file) for file in import_files(path))
        else:
            include = tuple(source.include) or DEFAULT_INCLUDE[source.format]
            found = iter_files(path, include, tuple(source.exclude))
    elif path.exists():
        found = iter([FoundFile(path.name, path, None if path.is_file() else "not_a_file")])
    else:
        refuse("usage.path", f"source {source.id!r}: {path} does not exist")
    for file in found:
        yield _measured(file)


def _measured(file: FoundFile) -> PieceFile:
    if file.problem is not None:
        return PieceFile(file.name, str(file.path), 0, 0, file.problem)
    try:
        found = os.stat(file.path)
    except OSError as err:
        return PieceFile(file.name, str(file.path), 0, 0, f"unreadable: {err.strerror}")
    return PieceFile(file.name, str(file.path), found.st_size, found.st_mtime_ns)


def require_unchanged(source: Source, file: PieceFile) -> None:
    """Raises `source.vanished` or `source.changed` when a file is not the one that was found."""
    try:
        now = os.stat(file.path)
    except FileNotFoundError:
        refuse("source.vanished", f"source {source.id!r}: {file.path} is gone, it was there when the work began")
    except OSError as err:
        refuse("source.vanished", f"source {source.id!r}: {file.path} cannot be reached any more: {err.strerror}")
    if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns):
        refuse("source.changed", f"source {source.id!r}: {file.path} has {now.st_size:,} bytes, it had {file.size:,}")
