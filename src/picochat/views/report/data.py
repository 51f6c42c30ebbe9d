"""What the model was trained on, and which file came from where, as parts of report.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.artifacts import layout
from picochat.views.checks import UNKNOWN, format_value
from picochat.views.markup import Child, Markup, element, join
from picochat.views.report import tables

Content = Mapping[str, Any]
FILES = 200
"""Files of the lineage that a page shows; the rest stand in the manifests."""


def data(more: Content) -> Markup | None:
    """Sources with their licences, what was dropped and why, the split."""
    found = more["data"]
    if not (found["sources"] or found["counts"]):
        return None
    parts: list[Child] = [
        element("p", f"Pack {found['pack'] or UNKNOWN}. {found['description'] or ''}".strip()),
        element("p", f"Languages: {', '.join(found['languages']) or 'unknown'}."),
        tables.table(
            "Sources",
            ("source", "licence", "revision", "read", "kept", "dropped", "weight", "sha256 of its content"),
            [_source(source) for source in found["sources"]],
        ),
        _drops(found["dropped"]),
        element("h3", "Split"),
        tables.facts(_split(more)),
        element("h3", "Warnings") if found["warnings"] else None,
        tables.bullets(found["warnings"]),
    ]
    return join(parts)


def _drops(dropped: list[list[Any]] | None) -> Markup | None:
    if dropped is None:
        return element("p", "Which documents were dropped is unknown.")
    rows = [[reason.replace("_", " "), format_value(count)] for reason, count in dropped]
    shown = tables.table("Documents that were dropped, by reason", ("reason", "documents"), rows)
    return shown or element("p", "No document was dropped.")


def _source(source: Content) -> list[Child]:
    numbers = [format_value(source[key]) for key in ("read", "kept", "dropped", "weight")]
    name = source["hub_dataset"] or source["id"]
    guessed = " (documents are guessed)" if source["documents_are"] == "guessed" else ""
    licence, revision = source["licence"] or "unknown", source["revision"] or "unknown"
    return [f"{name or UNKNOWN}{guessed}", licence, revision, *numbers, tables.digest(source["sha256"])]


def _split(more: Content) -> list[tuple[str, Child]]:
    found, chat = more["data"], more["chat"]
    counts = [(key.replace("_", " "), format_value(value)) for key, value in sorted(found["counts"].items())]
    rows = [(f"chat: {key.replace('_', ' ')}", format_value(value)) for key, value in chat.items()]
    tokens = [(key.replace("_", " "), format_value(value)) for key, value in more["tokenizer"].items()]
    return [
        ("held-out share", format_value(found["val_fraction"])),
        ("salt", found["salt"] or UNKNOWN),
        *counts,
        *tokens,
        *rows,
    ]


def lineage(more: Content) -> Markup | None:
    """Every file that a report names: its digest, who wrote it, who read it."""
    run, files = more["run"], more["lineage"]
    rows: list[list[Child]] = []
    if run:
        rows.append([element("code", layout.RUN), tables.digest(run["digest"]), "the runner", "every stage"])
    for entry in files[:FILES]:
        writer = entry["written_by"] or ("outside of the run" if entry["external"] else UNKNOWN)
        readers = ", ".join(entry["read_by"])
        rows.append([element("code", entry["path"], class_="path"), tables.digest(entry["sha256"]), writer, readers])
    shown = tables.table("Files by digest", ("file", "sha256", "written by", "read by"), rows)
    if shown is None:
        return None
    left = len(files) - FILES
    more_files = element("p", f"{left:,} more files stand in the manifests.", class_="note") if left > 0 else None
    return join([shown, more_files])
