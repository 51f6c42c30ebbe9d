"""From a pack to raw documents. Whatever is offered comes out once: as a text, or as a name with a reason.

A file of text or Markdown is one document, a row of JSONL or CSV is one document. Nothing is skipped in silence:
documents + dropped = what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from picochat.core.errors import refuse
from picochat.data.builtin import BUILTIN_PATHS, iter_builtin
from picochat.data.files import DEFAULT_INCLUDE, FoundFile, iter_files
from picochat.data.pack import LoadedPack, Source
from picochat.data.row_files import iter_csv, iter_jsonl_rows, looks_like_jsonl

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that is one document and larger than this is dropped unread."""


class RawDocument(NamedTuple):
    """One document as found. Exactly one of `text` and `drop_reason` is set."""

    source_id: str
    name: str
    text: str | None
    drop_reason: str | None = None
    metadata: str = ""
    """The front matter of a Markdown file."""


def iter_documents(loaded: LoadedPack) -> Iterator[RawDocument]:
    """The documents of all sources in pack order. Raises `usage.path`, `source.loop` or `source.column`."""
    for source in loaded.pack.sources:
        yield from iter_source(loaded, source)


def iter_source(loaded: LoadedPack, source: Source) -> Iterator[RawDocument]:
    """The documents of one source, always in one order."""
    if source.path in BUILTIN_PATHS:
        for name, text in iter_builtin(source.path):
            yield RawDocument(source.id, name, text)
        return
    path = loaded.resolve(source.path)
    if path.is_dir():
        include = tuple(source.include) or DEFAULT_INCLUDE[source.format]
        files = iter_files(path, include, tuple(source.exclude))
    elif path.exists():
        files = iter([FoundFile(path.name, path, None if path.is_file() else "not_a_file")])
    else:
        refuse("usage.path", f"source {source.id!r}: {path} does not exist")
    for found in files:
        yield from _iter_file(source, found)


def _iter_file(source: Source, found: FoundFile) -> Iterator[RawDocument]:
    """One file, by its format. A file that cannot be opened is one dropped document."""
    if found.problem is not None:
        yield RawDocument(source.id, found.name, None, found.problem)
        return
    try:
        yield from _iter_format(source, found)
    except OSError as err:
        yield RawDocument(source.id, found.name, None, f"unreadable: {err.strerror}")


def _iter_format(source: Source, found: FoundFile) -> Iterator[RawDocument]:
    kind = _format_of(found.path) if source.format == "auto" else source.format
    if kind in ("jsonl", "csv") and source.text is None:
        yield RawDocument(source.id, found.name, None, "column_not_named")
    elif kind == "jsonl" or kind == "csv":
        rows = iter_jsonl_rows if kind == "jsonl" else iter_csv
        for number, text, reason in rows(found.path, str(source.text)):
            yield RawDocument(source.id, f"{found.name}:{number}", text, reason)
    elif kind == "guessed":
        for number, (text, reason) in enumerate(_iter_guessed(found.path), 1):
            yield RawDocument(source.id, f"{found.name}:{number}", text, reason)
    else:
        yield _whole_file(source, found, kind == "markdown")


def _format_of(path: Path) -> str:
    kinds = {".md": "markdown", ".markdown": "markdown", ".jsonl": "jsonl", ".csv": "csv"}
    return kinds.get(path.suffix.lower(), "text")


def _whole_file(source: Source, found: FoundFile, markdown: bool) -> RawDocument:
    if found.path.stat().st_size > MAX_FILE_BYTES:
        return RawDocument(source.id, found.name, None, "file_too_large")
    text, reason = decode_text(found.path.read_bytes())
    if text is None:
        return RawDocument(source.id, found.name, None, reason)
    metadata, text = split_front_matter(text) if markdown else ("", text)
    return RawDocument(source.id, found.name, text, None, metadata)


def decode_text(data: bytes) -> tuple[str | None, str | None]:
    """Strict UTF-8 text, or (None, the reason): `binary`, `not_utf8`, or `jsonl` for rows in the clothes of a text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None, "binary" if b"\0" in data else "not_utf8"
    if "\0" in text:
        return None, "binary"
    return (None, "jsonl") if looks_like_jsonl(text) else (text, None)


def split_front_matter(text: str) -> tuple[str, str]:
    """(front matter, body) of a Markdown text; the front matter stands between two `---` lines at the very top."""
    lines = text.lstrip("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---":
        return "", text
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() in ("---", "..."):
            return "".join(lines[1:number]), "".join(lines[number + 1 :])
    return "", text


def _iter_guessed(path: Path) -> Iterator[tuple[str | None, str | None]]:
    """A bare file, cut at runs of two or more empty lines, else at empty lines, read line by line."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if b"\0" in head:
        yield None, "binary"
    elif looks_like_jsonl(head.decode("utf-8", errors="replace")):
        yield None, "jsonl"
    else:
        for block in _iter_blocks(path, 2 if _has_double_gap(path) else 1):
            yield decode_text(block)


def _has_double_gap(path: Path) -> bool:
    """Whether two empty lines in a row stand between two filled ones."""
    blocks = _iter_blocks(path, 2)
    next(blocks, None)
    return next(blocks, None) is not None


def _iter_blocks(path: Path, gap: int) -> Iterator[bytes]:
    """The blocks between runs of at least `gap` empty lines."""
    block: list[bytes] = []
    empty = 0
    with path.open("rb") as stream:
        for line in stream:
            if not line.strip():
                empty += 1
                continue
            if block and empty >= gap:
                yield b"".join(block)
                block = []
            elif block:
                block.extend([b"\n"] * empty)
            block.append(line)
            empty = 0
    if block:
        yield b"".join(block)
