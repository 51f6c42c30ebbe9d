"""The files of a run as they are now: size, time, and the digest as far as it is cheap to know.

A digest is kept as long as size, time of change and inode stay the same, and says when it was taken: that is for the
screen alone, a gate hashes everything again. One request hashes a bounded number of bytes, the smallest files first;
larger files wait for `picochat verify`.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from picochat.core.clock import utc_now, utc_time
from picochat.core.confined import open_below, stat_below
from picochat.views.files.lineage import SeenFile
from picochat.workbench.memo import Memo, Stamp, stamp

CHEAP_BYTES = 64 * 1024 * 1024
"""Hashed in one request at most."""


class Hashed(NamedTuple):
    """A digest and when it was taken."""

    sha256: str
    at: str


def look_at_files(
    memo: Memo, root: Path, paths: Iterable[str], proved: Mapping[str, Stamp], proved_at: str | None
) -> dict[str, SeenFile]:
    """The files that are there. `proved` are those that a verify passed over, as they were then."""
    found = {path: seen for path in paths if (seen := stat_below(root, path)) is not None}
    regular = [path for path, seen in found.items() if stat.S_ISREG(seen.st_mode)]
    hashed = _hash_some(memo, root, {path: found[path].st_size for path in regular})
    out: dict[str, SeenFile] = {}
    for path, seen in found.items():
        digest = hashed.get(path)
        holds = path in proved and proved[path] is not None and stamp(root / path) == proved[path]
        at = digest.at if digest else proved_at if holds else None
        out[path] = SeenFile(
            seen.st_size,
            utc_time(seen.st_mtime),
            stat.S_ISREG(seen.st_mode),
            digest.sha256 if digest else None,
            at,
            holds,
        )
    return out


def _hash_some(memo: Memo, root: Path, sizes: Mapping[str, int]) -> dict[str, Hashed]:
    """Digests that are known, and of the smallest other files as many as one request may hash."""
    found: dict[str, Hashed] = {}
    left = CHEAP_BYTES
    for path in sorted(sizes, key=lambda path: sizes[path]):
        key, files = ("sha256", str(root), path), (root / path,)
        known = memo.peek(key, files)
        if known is None and sizes[path] <= left:
            left -= sizes[path]
            known = memo.read(key, files, lambda path=path: _hash(root, path))
        if known is not None:
            found[path] = known
    return found


def _hash(root: Path, path: str) -> Hashed | None:
    """None for a file that went away, or that cannot be read."""
    try:
        with open_below(root, path) as stream:
            return Hashed(hashlib.file_digest(stream, "sha256").hexdigest(), utc_now())  # type: ignore[arg-type]
    except OSError:
        return None
