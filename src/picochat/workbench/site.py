"""The page and its static files, read once at the start.

All URLs are relative and the static path holds the digest of all files, so that one answer serves any prefix, a
browser may keep a file for ever, and an upgrade never mixes two versions. Comments of our own modules and stylesheets
are for readers of the tree: a browser gets empty lines in their place, so that a stack trace names the right line.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

MARKER = "{{static}}"
KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"
GZIP_FROM_BYTES = 512
COMMENTED = ("js/", "css/")
COMMENT = re.compile(rb"^[ \t]*(?://[^\n]*|/\*(?:[^*]|\*(?!/))*\*/[ \t]*)$", re.MULTILINE)
"""One that has its lines to itself."""


class StaticFile(NamedTuple):
    """A file as it is sent: `packed` where that is shorter."""

    kind: str
    data: bytes
    packed: bytes | None
    etag: str


@dataclass(frozen=True)
class Site:
    """`index` is the page, `files` are by their path below the static folder."""

    digest: str
    index: bytes
    files: dict[str, StaticFile]


def load_site() -> Site:
    """Reads the package's own files. Raises OSError when the package is not whole."""
    root = resources.files("picochat.workbench")
    files: dict[str, StaticFile] = {}
    whole = hashlib.sha256()
    for path in sorted(_walk(root / "static", "")):
        data = without_comments(path, (root / "static" / path).read_bytes())
        kind = KINDS.get(path[path.rfind(".") :])
        if kind is None:
            continue
        whole.update(f"{path}\0{len(data)}\0".encode() + data)
        packed = gzip.compress(data, 9, mtime=0) if len(data) >= GZIP_FROM_BYTES else None
        files[path] = StaticFile(kind, data, packed, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
    digest = whole.hexdigest()[:16]
    page = (root / "templates" / "index.html").read_text(encoding="utf-8")
    return Site(digest, page.replace(MARKER, f"static/{digest}").encode(), files)


def without_comments(path: str, data: bytes) -> bytes:
    """The file with as many lines; vendored ones keep every byte."""
    if not path.startswith(COMMENTED):
        return data
    return COMMENT.sub(lambda found: b"\n" * found.group().count(b"\n"), data)


def _walk(folder, prefix: str) -> list[str]:  # type: ignore[no-untyped-def]
    found: list[str] = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        found += _walk(entry, f"{name}/") if entry.is_dir() else [name]
    return found
