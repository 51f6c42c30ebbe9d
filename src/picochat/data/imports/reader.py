"""Reading an import back. Nothing is given out of a part whose bytes are not those of the manifest."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.core.jsonio import read_json
from picochat.data.imports.manifest import (
    MANIFEST,
    PART_NAME,
    PLAN,
    SCHEMA,
    ImportManifest,
    PartFile,
    require_sound,
)

ImportedRow = tuple[str, str | None, str | None]
_UNFINISHED = "run the import again, with the same settings, until it says that it is finished"


def is_import(folder: Path) -> bool:
    """Whether a folder holds an import, finished or not."""
    return (folder / MANIFEST).is_file() or (folder / PLAN).is_file()


def is_part(path: Path) -> bool:
    """Whether a file is named like a part and lies beside a manifest."""
    return PART_NAME.fullmatch(path.name) is not None and (path.parent / MANIFEST).is_file()


def load_import(folder: Path) -> ImportManifest:
    """The manifest of a finished import, after a look at the size of every part.

    Raises `artifact.missing` for an import that is not finished or a part that is gone, `artifact.changed` for a
    manifest or part that is not as it was written, `artifact.schema`, and `data.granularity` when documents + dropped
    are not the rows that were read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        found = "holds an import that is not finished" if (folder / PLAN).is_file() else "holds no import"
        refuse("artifact.missing", f"{folder} {found}: there is no {MANIFEST}", fix=_UNFINISHED)
    manifest = _read_manifest(path)
    for part in manifest.parts:
        _require_size(folder / part.name, part)
    return manifest


def _read_manifest(path: Path) -> ImportManifest:
    document = read_json(path)
    tag = document.get("schema") if isinstance(document, dict) else None
    if tag != SCHEMA.to_json():
        refuse("artifact.schema", f"{path} has schema {tag}, expected {SCHEMA.to_json()}")
    manifest = ImportManifest.from_json(document, str(path))
    require_sound(manifest, str(path))
    return manifest


def import_files(folder: Path) -> list[Path]:
    """The parts of a finished import, in order. Raises what `load_import` raises."""
    return [folder / part.name for part in load_import(folder).parts]


def iter_part(path: Path) -> Iterator[ImportedRow]:
    """(name, text, None) for every row of a part, whose digest is checked first.

    Raises `artifact.missing` or `artifact.changed`, and what `load_import` raises for its manifest.
    """
    part = _recorded(path)
    data = _read_whole(path, part)
    zstandard = require_extra("zstandard", f"{path} is packed with zstd")
    rows = 0
    with io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)) as stream:
        for line in stream:
            row = json.loads(line)
            rows += 1
            yield row["name"], row["text"], None
    if rows != part.rows:
        refuse("artifact.changed", f"{path} holds {rows:,} rows, recorded were {part.rows:,}")


def iter_import(folder: Path) -> Iterator[ImportedRow]:
    """All rows of a finished import, in order."""
    for path in import_files(folder):
        yield from iter_part(path)


def _recorded(path: Path) -> PartFile:
    manifest_path = path.parent / MANIFEST
    if not manifest_path.is_file():
        refuse("artifact.missing", f"there is no {MANIFEST} beside {path}", fix=_UNFINISHED)
    stat = os.stat(manifest_path)
    parts = _recorded_parts(manifest_path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if path.name not in parts:
        refuse("artifact.changed", f"{path} is no part of the import that {manifest_path} describes")
    return parts[path.name]


@lru_cache(maxsize=16)
def _recorded_parts(manifest_path: Path, size: int, mtime_ns: int, inode: int) -> dict[str, PartFile]:
    """The parts that a manifest names; kept as long as the manifest is the same file."""
    return {part.name: part for part in _read_manifest(manifest_path).parts}


def _require_size(path: Path, part: PartFile) -> None:
    try:
        size = os.stat(path).st_size
    except OSError:
        refuse("artifact.missing", f"{path} is gone, {MANIFEST} names it", fix="restore the part, or import again")
    if size != part.bytes:
        refuse("artifact.changed", f"{path} has {size:,} bytes, recorded were {part.bytes:,}")


def _read_whole(path: Path, part: PartFile) -> bytes:
    _require_size(path, part)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != part.sha256:
        refuse("artifact.changed", f"{path} has sha256 {digest[:12]}..., recorded was {part.sha256[:12]}...")
    return data
