"""What the run is judged on, and what it was trained on beside the corpus: collected, hashed, and named as inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import refuse
from picochat.core.jsonio import iter_jsonl
from picochat.data.contamination.findings import HELDOUT
from picochat.data.contamination.items import Item, ItemSet, build_row_set
from picochat.data.conversations import ConversationRow, EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.stages.benchmark_items import READERS, BenchmarkReader

EVAL = "eval"


@dataclass
class Collected:
    """Item sets in order, the rows that are compared as rows, and the sets that nobody here can read."""

    sets: list[ItemSet] = field(default_factory=list)
    heldout: list[EvalRow] = field(default_factory=list)
    train: list[PairRow | ConversationRow] = field(default_factory=list)
    not_scanned: list[tuple[str, str]] = field(default_factory=list)


def collect_sets(store: RunStore, record: StageRecord) -> Collected:
    """Re-hashes what the dataset stage and the benchmarks wrote, adds it to the inputs of `record`, and reads it.

    Raises `artifact.*` for changed files, `chat.*` and `eval.row` for broken rows, `benchmark.*` for broken benchmarks.
    """
    manifest = store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    for kind, path in (
        ("corpus_manifest", layout.CORPUS_MANIFEST),
        ("corpus", layout.CORPUS),
        ("corpus_documents", layout.CORPUS_DOCUMENTS),
        ("chat_train", layout.CHAT_TRAIN),
        ("chat_heldout", layout.CHAT_HELDOUT),
        ("chat_eval", layout.CHAT_EVAL),
    ):
        record.add_input(kind, path)
    found = Collected()
    found.train = _rows(store.path(layout.CHAT_TRAIN), read_chat_rows)
    found.heldout = _rows(store.path(layout.CHAT_HELDOUT), read_eval_rows)
    evaluation = _rows(store.path(layout.CHAT_EVAL), read_eval_rows)
    found.sets += [build_row_set(EVAL, "eval", evaluation), build_row_set(HELDOUT, "heldout", found.heldout)]
    _add_benchmarks(found, store, record, manifest.get("benchmarks", []))
    return found


def _rows(path: Path, read: Callable[[Path], list[Any]]) -> list[Any]:
    """The rows of a file; a dataset without rows of a kind has an empty file."""
    return read(path) if path.stat().st_size else []


def _add_benchmarks(found: Collected, store: RunStore, record: StageRecord, named: list[dict[str, Any]]) -> None:
    """The benchmarks of the pack and those that were run, each name one set with every different item."""
    folder = store.path(layout.BENCHMARKS)
    attached = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for name in dict.fromkeys([*(str(entry["name"]) for entry in named), *attached]):
        set_name = layout.benchmark_dir(name)
        if name not in READERS:
            known = ", ".join(READERS)
            found.not_scanned.append((set_name, f"its files cannot be read by this version, which reads {known}"))
            continue
        items: list[Item] = []
        for entry in named:
            if entry["name"] == name:
                items += _published(READERS[name], Path(entry["path"]), record)
        if name in attached:
            items += _scored(READERS[name], name, store, record)
        found.sets.append(ItemSet(set_name, "benchmark", tuple(dict.fromkeys(items))))


def _published(reader: BenchmarkReader, folder: Path, record: StageRecord) -> list[Item]:
    items, files = reader.published(folder)
    for file in files:
        record.add_input("benchmark", file.resolve())
    return items


def _scored(reader: BenchmarkReader, name: str, store: RunStore, record: StageRecord) -> Iterable[Item]:
    path = layout.report_path(layout.benchmark_dir(name))
    report = store.require_outputs(path, "benchmark_report")
    record.add_input("benchmark_report", path)
    record.add_input("benchmark_rows", report["rows"])
    return list(_items_of(reader, store.path(report["rows"])))


def _items_of(reader: BenchmarkReader, path: Path) -> Iterator[Item]:
    for number, row in enumerate(iter_jsonl(path), 1):
        try:
            yield reader.scored(row)
        except (KeyError, TypeError) as err:
            refuse("benchmark.row", f"{path} row {number}: {err} is missing", fix="run the benchmark again")
