"""What a pack offers, without building it: its sources, and what cleaning says of the first documents of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from picochat.data.cleaning import CleaningConfig, clean
from picochat.data.imports.reader import is_import, load_import
from picochat.data.pack import IMPORTS, LoadedPack, Source, load_pack
from picochat.data.pieces import Piece, iter_pieces
from picochat.data.sources import iter_piece

FIRST_DOCUMENTS = 200
EXAMPLES = 3
EXAMPLE_CHARS = 160


def preview_pack(path: str, cleaning: CleaningConfig | None = None) -> dict[str, Any]:
    """Name, split and sources of a pack; of each source its size and the fate of its first documents.

    Raises what reading the pack raises; a source that is not imported yet is shown as that.
    """
    loaded = load_pack(path)
    pieces: dict[int, list[Piece]] = {}
    missing = [place for place, source in enumerate(loaded.pack.sources) if not is_there(loaded, source)]
    if not missing:
        for piece in iter_pieces(loaded):
            pieces.setdefault(piece.source, []).append(piece)
    else:
        for place, source in enumerate(loaded.pack.sources):
            if place not in missing:
                alone = LoadedPack(loaded.pack.model_copy(update={"sources": [source]}), loaded.root, loaded.file)
                pieces[place] = list(iter_pieces(alone))
    described = [
        _describe(loaded, source, pieces.get(place, []), place not in missing, cleaning or CleaningConfig())
        for place, source in enumerate(loaded.pack.sources)
    ]
    pack = loaded.pack
    return {
        "name": pack.name,
        "description": pack.description,
        "split": pack.split.as_dict(),
        "contamination": pack.contamination,
        "chat_files": [file.path for file in pack.chat],
        "eval_files": [file.path for file in pack.eval],
        "benchmarks": [benchmark.name for benchmark in pack.benchmarks],
        "sources": described,
    }


def is_there(loaded: LoadedPack, source: Source) -> bool:
    """Whether a source can be read now, or must be imported first."""
    return not source.import_ or is_import(loaded.root / IMPORTS / source.id)


def _describe(
    loaded: LoadedPack, source: Source, pieces: list[Piece], present: bool, cleaning: CleaningConfig
) -> dict[str, Any]:
    first = _first_documents(source, pieces, cleaning) if present else None
    found: dict[str, Any] = {
        "id": source.id,
        "place": source.place,
        "state": "present" if present else "not imported",
        "format": source.format,
        "licence": source.licence,
        "revision": source.revision,
        "weight": source.weight,
        "token_budget": source.token_budget,
        "files": sum(len(piece.files) for piece in pieces if piece.begin == 0),
        "bytes": sum(piece.bytes for piece in pieces),
        "first": first,
    }
    if present and source.import_:
        manifest = load_import(loaded.source_path(source))
        found |= {"licence": manifest.source.licence, "revision": manifest.source.revision}
    return found


def _first_documents(source: Source, pieces: list[Piece], cleaning: CleaningConfig) -> dict[str, Any]:
    """Counts by reason over the first documents, with examples of what is kept and what is not."""
    kept, dropped = 0, Counter[str]()
    examples: dict[str, list[dict[str, str]]] = {}
    for name, text, reason in islice(_iter_cleaned(source, pieces, cleaning), FIRST_DOCUMENTS):
        kept += reason is None
        code = "kept" if reason is None else reason.partition(":")[0]
        dropped.update([code] if reason is not None else [])
        if len(shown := examples.setdefault(code, [])) < EXAMPLES:
            shown.append({"name": name, "text": text[:EXAMPLE_CHARS]})
    return {"read": kept + dropped.total(), "kept": kept, "dropped": dict(dropped), "examples": examples}


def _iter_cleaned(
    source: Source, pieces: list[Piece], cleaning: CleaningConfig
) -> Iterator[tuple[str, str, str | None]]:
    """(name, text, reason why it is dropped) of each document."""
    for piece in pieces:
        for raw in iter_piece(source, piece):
            reason = raw.drop_reason if raw.text is None else clean(raw.text, cleaning).reason
            yield raw.name, raw.text or "", reason
