"""The rows of a cross-check, from local files or from the run's held-out documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.data.corpus import CorpusReader
from picochat.evals.harness.arc_rows import read_arc
from picochat.evals.harness.tasks import HarnessTask, TextItem, build_arc_task, build_blimp_task, build_text_task
from picochat.evals.tasks.blimp import read_blimp
from picochat.stages.harness.config import HarnessConfig

HELDOUT_DOCUMENTS = 100
TEXT_SUFFIXES = (".txt", ".md")


class Rows(NamedTuple):
    """A task, and the files that its rows were read from with their digests; none for held-out documents."""

    task: HarnessTask
    files: list[dict[str, Any]]


def read_rows_of(store: RunStore, record: StageRecord, config: HarnessConfig) -> Rows:
    """Reads the rows and adds their files to the inputs of `record`.

    Raises `benchmark.*` for missing or broken files, `artifact.*` for a changed corpus.
    """
    if config.data is None:
        return Rows(_heldout(store, record, config.limit or HELDOUT_DOCUMENTS), [])
    source = Path(config.data)
    task, files = READERS[config.task](source, config.limit)
    folder = source.parent if source.is_file() else source
    for file in files:
        ref = record.add_input("benchmark", (folder / file["name"]).resolve())
        if ref.sha256 != file["sha256"]:
            refuse("artifact.changed", f"{ref.path} changed while it was read")
    return Rows(task, files)


def _heldout(store: RunStore, record: StageRecord, limit: int) -> HarnessTask:
    store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    for kind, path in (("corpus", layout.CORPUS), ("corpus_documents", layout.CORPUS_DOCUMENTS)):
        record.add_input(kind, path)
    reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
    numbers = reader.indices("val")[:limit].tolist()
    if not numbers:
        refuse("data.no_val", "the corpus holds 0 held-out documents")
    return build_text_task([TextItem(f"val/{number}", reader.text(number)) for number in numbers])


def _read_blimp(source: Path, limit: int | None) -> tuple[HarnessTask, list[dict[str, Any]]]:
    data = read_blimp(source)
    groups = groupby(data.items, key=lambda item: item.paradigm)
    pairs = [item for _, group in groups for item in islice(group, limit)]
    return build_blimp_task(pairs), [_file(f.name, f.sha256, f.registered) for f in data.files]


def _read_arc(source: Path, limit: int | None) -> tuple[HarnessTask, list[dict[str, Any]]]:
    rows, files = read_arc(source)
    chosen = [row for group in rows for row in islice(group, limit)]
    return build_arc_task(chosen), [_file(f.name, f.sha256, f.registered) for f in files]


def _read_texts(source: Path, limit: int | None) -> tuple[HarnessTask, list[dict[str, Any]]]:
    """A file is one document. Raises `benchmark.missing`, `benchmark.empty`, `benchmark.row`."""
    found = [source] if source.is_file() else _list_texts(source)
    items, files = [], []
    for path in found[:limit]:
        data = path.read_bytes()
        files.append(_file(path.name, sha256_bytes(data), False))
        items.append(TextItem(path.name, _decode(path, data)))
    return build_text_task(items), files


def _list_texts(folder: Path) -> list[Path]:
    if not folder.is_dir():
        refuse("benchmark.missing", f"text: {folder} is neither a file nor a folder")
    found: Iterable[Path] = (path for path in folder.iterdir() if path.suffix in TEXT_SUFFIXES and path.is_file())
    return sorted(found) or refuse("benchmark.empty", f"text: {folder} holds 0 files named *.txt or *.md")


def _decode(path: Path, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as err:
        refuse("benchmark.row", f"{path} is not UTF-8: {err}")
    return text if text.strip() else refuse("benchmark.row", f"{path} holds no text")


def _file(name: str, sha256: str, registered: bool) -> dict[str, Any]:
    return {"name": name, "sha256": sha256, "registered": registered}


READERS: dict[str, Callable[[Path, int | None], tuple[HarnessTask, list[dict[str, Any]]]]] = {
    "blimp": _read_blimp,
    "arc": _read_arc,
    "text": _read_texts,
}
