"""Files that are one document each: strict UTF-8, perhaps packed, the front matter of Markdown apart from its text."""

from __future__ import annotations

from pathlib import Path

from picochat.data.compressed import open_stream
from picochat.data.row_files import looks_like_jsonl

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that is one document and larger than this, unpacked, is dropped."""


def read_text_file(path: Path, markdown: bool) -> tuple[str | None, str | None, str]:
    """(text, None, front matter) or (None, reason, ""). Reasons: file_too_large, binary, not_utf8, jsonl.

    Raises `source.truncated`, `source.layout`, `source.corrupt` for a packed file, and OSError.
    """
    with open_stream(path) as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        return None, "file_too_large", ""
    text, reason = decode_text(data)
    if text is None:
        return None, reason, ""
    metadata, text = split_front_matter(text) if markdown else ("", text)
    return text, None, metadata


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
