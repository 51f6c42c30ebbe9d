"""A tiny publisher for crash tests: two files a version, no torch, no pytest, so that a child starts at once."""

import hashlib
import json
import sys
from pathlib import Path

from picochat.core import failpoints
from picochat.core.publish import FileDigest, Published, bytes_stream, publish_folder
from picochat.core.swap import exchange_names

MANIFEST = "MANIFEST.json"


def manifest_of(files: dict[str, FileDigest]) -> bytes:
    return json.dumps({name: list(entry) for name, entry in files.items()}).encode()


def is_whole(path: Path) -> bool:
    try:
        listed = json.loads((path / MANIFEST).read_bytes())
        return {p.name for p in path.iterdir()} == {MANIFEST, *listed} and all(
            hashlib.sha256((path / name).read_bytes()).hexdigest() == sha for name, (_, sha) in listed.items()
        )
    except (OSError, ValueError):
        return False


def no_exchange(first: Path, second: Path) -> bool:
    return False


def save(parent: Path, text: str, name: str = "checkpoint", **options) -> Published:
    streams = {file: bytes_stream(f"{text} {file}".encode() * 100) for file in ("a", "b")}
    chosen = {"verify": is_whole, "expected_bytes": 2000} | options
    return publish_folder(parent, name, streams, manifest_of, **chosen)


def content(path: Path) -> str | None:
    """The version in a folder, when it is whole and unmixed."""
    if not path.exists():
        return None
    assert is_whole(path)
    versions = {(path / file).read_text().split()[0] for file in ("a", "b")}
    assert len(versions) == 1
    return versions.pop()


def names(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir()} - {".lock"}


def child(folder: str, spec: str, way: str) -> None:
    """What a process that is meant to die runs."""
    failpoints.arm(spec)
    save(Path(folder), "new", exchange=no_exchange if way == "rename" else exchange_names)


if __name__ == "__main__":
    child(*sys.argv[1:])
