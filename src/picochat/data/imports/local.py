"""Local sources: the files of a folder, or one file. Rows are one unit of work a file; texts are gathered.

The revision of a local source is the digest of its files. A file is hashed before it is read and looked at again after
it, so that what is recorded is what was read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from picochat.core.errors import refuse
from picochat.core.hashing import sha256_file
from picochat.data.files import FoundFile, iter_files, matches
from picochat.data.imports.config import ANEW, ImportConfig
from picochat.data.imports.manifest import Origin, PlannedFile, Unit
from picochat.data.row_files import ROW_KINDS, kind_of

TEXTS_BYTES = 64 * 1024 * 1024
TEXTS_FILES = 20_000
MAX_FILES = 400_000
"""Plan and manifest name every file and are read whole: so many stay under the limit of a JSON file."""


def plan_local(config: ImportConfig, folder: Path) -> tuple[Origin, tuple[Unit, ...]]:
    """The source and its files. Raises `usage.path`, `config.*`, `source.*` or `import.too_many_files`."""
    root = Path(os.path.abspath(config.source))
    if not root.exists():
        refuse("usage.path", f"{config.source} does not exist", fix="give a path, hf:ORG/NAME, or climbmix")
    if root.is_dir() and Path(os.path.abspath(folder)).is_relative_to(root):
        refuse("config.conflict", f"{folder} lies inside of {root}: the import would read itself", fix="move --out-dir")
    files = [_measured(found) for found in islice(_iter_found(root, config), MAX_FILES + 1)]
    if len(files) > MAX_FILES:
        refuse("import.too_many_files", f"{config.source} holds more than {MAX_FILES:,} files")
    if not files:
        refuse("source.empty", f"{config.source} has no file that is read; hidden ones are passed over")
    rows = [file.name for file in files if _row_kind(file)]
    if rows and config.text is None:
        refuse("config.value", f"{rows[0]} holds rows", fix="name the column of the text: --text COLUMN")
    if config.filters and len(rows) < len(files):
        other = next(file.name for file in files if not _row_kind(file))
        refuse("config.conflict", f"{other} has no columns that a filter could look at", fix="choose rows with files")
    licence = config.licence or "unknown"
    origin = Origin(
        kind="local", name=str(root), licence=licence, licence_from="given" if config.licence else "unknown"
    )
    return origin, tuple(_units(files))


def local_path(origin: Origin, file: PlannedFile) -> Path:
    """Where a planned file lies."""
    root = Path(origin.name)
    return root / file.name if root.is_dir() else root


def require_same(path: Path, file: PlannedFile) -> None:
    """Raises `source.vanished` or `source.changed` when a file is not the one that was planned."""
    try:
        now = os.stat(path)
    except OSError as err:
        refuse("source.vanished", f"{path} was there when the import began: {err.strerror}", fix=ANEW)
    if now.st_size != file.bytes or now.st_mtime_ns != file.mtime_ns:
        size = f"{now.st_size:,} bytes, it had {file.bytes:,}"
        refuse("source.changed", f"{path} was written to since the import began: it has {size}", fix=ANEW)


def hash_local(path: Path, file: PlannedFile) -> str:
    """The digest of a file that is the planned one before and after it was read for it."""
    require_same(path, file)
    digest = sha256_file(path)
    require_same(path, file)
    return digest


def differences(before: tuple[Unit, ...], now: tuple[Unit, ...]) -> list[str]:
    """What has changed in a local source between two attempts, in words."""
    old, new = ({file.name: file for unit in units for file in unit.files} for units in (before, now))
    found = [f"{name} is gone" for name in old.keys() - new.keys()]
    found += [f"{name} is new" for name in new.keys() - old.keys()]
    found += [
        f"{name} has {new[name].bytes:,} bytes, it had {old[name].bytes:,}"
        for name in old.keys() & new.keys()
        if old[name] != new[name]
    ]
    return sorted(found)


def _iter_found(root: Path, config: ImportConfig) -> Iterator[FoundFile]:
    if root.is_dir():
        yield from iter_files(root, tuple(config.files) or ("**/*",), ())
    elif not config.files or matches(root.name, tuple(config.files)):
        yield FoundFile(root.name, root, None if root.is_file() else "not_a_file")


def _measured(found: FoundFile) -> PlannedFile:
    name = found.name.encode(errors="backslashreplace").decode()
    if found.problem is not None or name != found.name:
        return PlannedFile(name=name, bytes=0, problem=found.problem or "name_not_utf8")
    try:
        stat = os.stat(found.path)
    except OSError as err:
        return PlannedFile(name=found.name, bytes=0, problem=f"unreadable: {err.strerror}")
    return PlannedFile(name=found.name, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _row_kind(file: PlannedFile) -> str | None:
    kind = kind_of(file.name)
    return kind if kind in ROW_KINDS and not file.problem else None


def _units(files: list[PlannedFile]) -> Iterator[Unit]:
    """A unit for each file of rows, and one for each run of texts; the cuts depend on names and sizes alone."""
    number, texts, size = 0, [], 0
    for file in files:
        kind = _row_kind(file)
        if texts and (kind or size >= TEXTS_BYTES or len(texts) >= TEXTS_FILES):
            yield Unit(number=number, kind="text", files=tuple(texts))
            number, texts, size = number + 1, [], 0
        if kind is None:
            texts.append(file)
            size += file.bytes
            continue
        yield Unit.model_validate({"number": number, "kind": kind, "files": (file,)})
        number += 1
    if texts:
        yield Unit(number=number, kind="text", files=tuple(texts))
