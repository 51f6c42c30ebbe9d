"""Datasets on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from picochat.cli.console import build_console, print_table
from picochat.views import dataset
from picochat.views.dataset import Table

Document = Mapping[str, Any]


def show_tables(tables: Iterable[Table]) -> None:
    for table in tables:
        if table.rows:
            print_table(table.title, table.columns, table.rows)


def show_manifest(manifest: Document, examples: bool = False) -> None:
    """A corpus; with `examples` also names of dropped documents, duplicates, and what was read back."""
    show_tables(dataset.corpus_tables(manifest, examples))
    if examples:
        show_tables(dataset.duplicate_tables(manifest))


def show_shards(manifest: Document) -> None:
    show_tables(dataset.shards_tables(manifest))


def show_pack(preview: Document) -> None:
    show_tables(dataset.pack_tables(preview))


def show_check(manifest: Document, honesty: Document, faults: Sequence[str]) -> None:
    """Everything that was looked for, and the verdict in words."""
    show_manifest(manifest, examples=True)
    show_tables(dataset.contamination_tables(honesty))
    console = build_console()
    for fault in faults:
        console.print(f"found  {fault}", markup=False)
    console.print("nothing was found that blocks a release" if not faults else f"{len(faults)} faults", markup=False)
