"""From a piece of a pack to raw documents. Whatever is offered comes out once: as a text, or as a name with a reason.

A file of text or Markdown is one document, a row of JSONL, CSV or Parquet is one document. Nothing is skipped in
silence: documents + dropped = what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from picochat.data.builtin import BUILTIN_PATHS, iter_builtin
from picochat.data.compressed import open_stream
from picochat.data.imports.reader import is_part, iter_part
from picochat.data.lines import iter_lines
from picochat.data.pack import LoadedPack, Source
from picochat.data.pieces import Piece, PieceFile, iter_pieces, require_unchanged
from picochat.data.row_files import ROW_KINDS, iter_rows, kind_of, looks_like_jsonl, row_name
from picochat.data.text_files import MAX_FILE_BYTES, decode_text, read_text_file


class RawDocument(NamedTuple):
    """One document as found. Exactly one of `text` and `drop_reason` is set."""

    source_id: str
    name: str
    text: str | None
    drop_reason: str | None = None
    metadata: str = ""
    """The front matter of a Markdown file."""


def iter_documents(loaded: LoadedPack) -> Iterator[RawDocument]:
    """The documents of all sources in pack order. Raises `usage.path`, `source.*`."""
    for piece in iter_pieces(loaded):
        yield from iter_piece(loaded.pack.sources[piece.source], piece)


def iter_piece(source: Source, piece: Piece) -> Iterator[RawDocument]:
    """The documents of one piece, always in one order. Raises `source.*`."""
    if source.path in BUILTIN_PATHS:
        for name, text in iter_builtin(source.path):
            yield RawDocument(source.id, name, text)
    for file in piece.files:
        yield from _iter_file(source, file, piece)


def _iter_file(source: Source, file: PieceFile, piece: Piece) -> Iterator[RawDocument]:
    """One file, by its format. A file that cannot be opened is one dropped document."""
    if file.problem is not None:
        yield RawDocument(source.id, file.name, None, file.problem)
        return
    require_unchanged(source, file)
    try:
        yield from _iter_format(source, file, piece)
    except PermissionError as err:
        yield RawDocument(source.id, file.name, None, f"unreadable: {err.strerror}")
    except OSError:
        require_unchanged(source, file)
        raise
    require_unchanged(source, file)


def _iter_format(source: Source, file: PieceFile, piece: Piece) -> Iterator[RawDocument]:
    path = Path(file.path)
    kind = (kind_of(file.name) or "text") if source.format == "auto" else source.format
    if is_part(path):
        for name, text, reason in iter_part(path):
            yield RawDocument(source.id, name, text, reason)
    elif kind in ROW_KINDS and source.text is None:
        yield RawDocument(source.id, file.name, None, "column_not_named")
    elif kind in ROW_KINDS:
        for number, text, reason in iter_rows(path, kind, str(source.text), piece.begin, piece.end):
            yield RawDocument(source.id, row_name(file.name, number, kind, piece.begin, piece.end), text, reason)
    elif kind == "guessed":
        for number, (text, reason) in enumerate(_iter_guessed(path), 1):
            yield RawDocument(source.id, f"{file.name}:{number}", text, reason)
    else:
        text, reason, metadata = read_text_file(path, kind == "markdown")
        yield RawDocument(source.id, file.name, text, reason, metadata)


def _iter_guessed(path: Path) -> Iterator[tuple[str | None, str | None]]:
    """A bare file, cut at runs of two or more empty lines, else at empty lines, read line by line."""
    with open_stream(path) as stream:
        head = stream.read(1 << 16)
    if b"\0" in head:
        yield None, "binary"
    elif looks_like_jsonl(head.decode("utf-8", errors="replace")):
        yield None, "jsonl"
    else:
        for block in _iter_blocks(path, 2 if _has_double_gap(path) else 1):
            yield (None, "block_too_long") if block is None else decode_text(block)


def _has_double_gap(path: Path) -> bool:
    """Whether two empty lines in a row stand between two filled ones."""
    filled, empty = False, 0
    with open_stream(path) as stream:
        for _, line in iter_lines(stream, MAX_FILE_BYTES):
            if line is None or line.strip():
                if filled and empty >= 2:
                    return True
                filled, empty = True, 0
            else:
                empty += 1
    return False


def _iter_blocks(path: Path, gap: int) -> Iterator[bytes | None]:
    """The blocks between runs of at least `gap` empty lines; None for one over the limit, of which nothing is kept."""
    block: list[bytes] = []
    empty, size, too_long = 0, 0, False
    with open_stream(path) as stream:
        for _, line in iter_lines(stream, MAX_FILE_BYTES):
            if line is not None and not line.strip():
                empty += 1
                continue
            if (block or too_long) and empty >= gap:
                yield None if too_long else b"".join(block)
                block, size, too_long = [], 0, False
            elif block:
                block.extend([b"\n"] * empty)
            empty, size = 0, size + (MAX_FILE_BYTES + 1 if line is None else len(line))
            too_long = too_long or size > MAX_FILE_BYTES
            if too_long or line is None:
                block.clear()
            else:
                block.append(line)
    if block or too_long:
        yield None if too_long else b"".join(block)
