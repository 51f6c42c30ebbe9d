"""The documents that lend their words to the generated skills, read as they are from any pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picochat.data.pack import LoadedPack
from picochat.data.sources import iter_documents

WORD_BYTES = 64_000_000
"""A larger text lends no better words."""


def iter_word_texts(loaded: LoadedPack, limit: int = WORD_BYTES) -> Iterator[str]:
    """The first documents of a pack, up to a number of bytes. Raises `usage.path` or `source.*`."""
    size = 0
    for raw in iter_documents(loaded):
        size += len((raw.text or "").encode(errors="replace"))
        if size > limit:
            return
        if raw.text is not None:
            yield raw.text


def describe_words(loaded: LoadedPack) -> dict[str, Any]:
    """Where the words come from, for a record."""
    sources = [
        {"id": source.id, "revision": source.revision, "licence": source.licence} for source in loaded.pack.sources
    ]
    return {"pack": loaded.pack.name, "sources": sources}
