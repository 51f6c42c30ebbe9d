"""Sources that were imported: what the pack asks for must be what lies there, and their counts join the manifest."""

from __future__ import annotations

from typing import Any

from picochat.core.errors import refuse
from picochat.data.imports.reader import is_import, load_import
from picochat.data.imports.settings import setting_differences
from picochat.data.pack import LoadedPack, Source


def require_imports(loaded: LoadedPack) -> None:
    """Raises `source.not_imported` for an import that is missing or is another one than the pack describes."""
    for source in loaded.pack.sources:
        if source.import_:
            manifest = load_import(loaded.source_path(source))
            if wrong := setting_differences(source.import_config(), manifest.settings, manifest.source):
                refuse(
                    "source.not_imported",
                    f"source {source.id!r}: the import was made with {wrong[0]} ({len(wrong)} differences)",
                    fix=f"remove its folder and run picochat data import {loaded.file}",
                )


def describe_import(loaded: LoadedPack, source: Source) -> dict[str, Any] | None:
    """Where imported rows come from and what became of them before; None for a source that was not imported."""
    if source.path and not is_import(loaded.resolve(source.path)):
        return None
    manifest = load_import(loaded.source_path(source))
    return {
        "origin": manifest.source.to_json(),
        "rows_read": manifest.rows_read,
        "documents": manifest.documents,
        "dropped": manifest.dropped,
        "manifest": manifest.self_digest,
    }
