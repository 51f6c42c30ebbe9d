"""Digests. Everything that is compared across stages is a sha256 in lower-case hex."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.core.jsonio import canonical_json, open_file


def sha256_bytes(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Digest of a file's bytes. Raises `artifact.missing`."""
    try:
        with open_file(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        refuse("artifact.missing", f"{path} does not exist")


def digest_of(obj: Any) -> str:
    """Digest of an object's canonical JSON."""
    return sha256_bytes(canonical_json(obj))


def unit_fraction(text: str) -> float:
    """The first 8 bytes of sha256(text) as a fraction in [0, 1): stable choices that never depend on order."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
