"""The manifest that stands in every report: what was run, with what, from which bytes, to which bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.artifacts.schema import Record
from picochat.core.hashing import digest_of, sha256_file
from picochat.core.jsonio import pretty_json


class FileRef(Record):
    """A file by kind, path and digest. `external` files lie outside the run and have absolute paths."""

    kind: str
    path: str
    bytes: int
    sha256: str
    external: bool = False


class CodeRecord(Record):
    """Which code ran: version, git commit and dirty flag when there is a repository, digest of the package's files."""

    version: str
    git_commit: str | None
    git_dirty: bool | None
    package_digest: str


class Manifest(Record):
    """See the contract: inputs are re-hashed by the stage before it uses them, outputs by whoever comes later."""

    stage: str
    attempt: int
    started_at: str
    finished_at: str
    duration_s: float
    run_digest: str
    """sha256 of run.json."""
    code: CodeRecord
    environment: dict[str, Any]
    config: str
    """Digest of the stage's configuration."""
    inputs: tuple[FileRef, ...]
    outputs: tuple[FileRef, ...]


def self_digest(document: dict[str, Any]) -> str:
    """Digest of a document without the field `self_digest`, which holds it in every report."""
    return digest_of({key: value for key, value in document.items() if key != "self_digest"})


def is_canonical(obj: Any, data: bytes) -> bool:
    """Whether a root file has the one form in which it is written."""
    try:
        return pretty_json(obj) == data
    except ValueError:
        return False


def form_problem(body: dict[str, Any], data: bytes) -> str:
    """What is wrong with the form of a report: another than it is written in, or another self_digest; else empty."""
    if not is_canonical(body, data):
        return "not in canonical form"
    changed = "self_digest" in body and body["self_digest"] != self_digest(body)
    return "was changed after it was written: it has another self_digest" if changed else ""


def file_ref(kind: str, path: Path, root: Path) -> FileRef:
    """Hashes a file and names it relative to `root`, or absolutely when it lies outside."""
    absolute = path.resolve()
    inside = absolute.is_relative_to(root.resolve())
    name = str(absolute.relative_to(root.resolve())) if inside else str(absolute)
    return FileRef(kind=kind, path=name, bytes=path.stat().st_size, sha256=sha256_file(path), external=not inside)
