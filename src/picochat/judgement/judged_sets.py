"""What a run is judged on, and the chat rows that it was trained on: collected for a search of the training texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import iter_jsonl
from picochat.data.contamination.findings import HELDOUT
from picochat.data.contamination.items import Item, ItemSet, build_row_set
from picochat.data.conversations import ConversationRow, EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.evals.benchmark_items import READERS, BenchmarkReader

EVAL = "eval"
Note = Callable[[str, str | Path], object]


@dataclass
class Collected:
    """Item sets in order, the rows that are compared as rows, and the sets that nobody here can read."""

    sets: list[ItemSet] = field(default_factory=list)
    heldout: list[EvalRow] = field(default_factory=list)
    train: list[PairRow | ConversationRow] = field(default_factory=list)
    not_scanned: list[tuple[str, str]] = field(default_factory=list)


def collect_sets(store: RunStore, named: Sequence[dict[str, Any]], note: Note, *, lenient: bool = False) -> Collected:
    """Reads the chat rows and benchmarks of a run; `named` are the benchmarks of its pack.

    `note(kind, file)` hears of each file before it is read. Raises `artifact.*` for changed files, `chat.*` and
    `eval.row` for broken rows, `benchmark.*` for broken benchmarks. With `lenient` a benchmark whose published files
    are not here is taken from its scored rows, or is not scanned when these are a part of it.
    """
    for kind, path in (
        ("chat_train", layout.CHAT_TRAIN),
        ("chat_heldout", layout.CHAT_HELDOUT),
        ("chat_eval", layout.CHAT_EVAL),
    ):
        note(kind, path)
    found = Collected()
    found.train = read_rows(store.path(layout.CHAT_TRAIN), read_chat_rows)
    found.heldout = read_rows(store.path(layout.CHAT_HELDOUT), read_eval_rows)
    evaluation = read_rows(store.path(layout.CHAT_EVAL), read_eval_rows)
    found.sets += [build_row_set(EVAL, "eval", evaluation), build_row_set(HELDOUT, "heldout", found.heldout)]
    folder = store.path(layout.BENCHMARKS)
    attached = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for name in dict.fromkeys([*(str(entry["name"]) for entry in named), *attached]):
        places = [Path(entry["path"]) for entry in named if entry["name"] == name]
        _add_benchmark(found, name, places, _Attached(store, note) if name in attached else None, note, lenient)
    return found


def read_rows(path: Path, read: Callable[[Path], list[Any]]) -> list[Any]:
    """The rows of a file; a dataset without rows of a kind has an empty file."""
    return read(path) if path.stat().st_size else []


class _Attached(NamedTuple):
    """A benchmark that was run."""

    store: RunStore
    note: Note

    def items(self, name: str) -> tuple[list[Item], bool]:
        """The items that were scored, and whether these are all that there are."""
        path = layout.report_path(layout.benchmark_dir(name))
        report = self.store.require_outputs(path, "benchmark_report")
        self.note("benchmark_report", path)
        self.note("benchmark_rows", report["rows"])
        items = list(_items_of(READERS[name], self.store.path(report["rows"])))
        return items, report.get("settings", {}).get("limit") is None


def _add_benchmark(
    found: Collected, name: str, places: list[Path], attached: _Attached | None, note: Note, lenient: bool
) -> None:
    """Those of the pack and those that were run, each name one set with every different item."""
    set_name, items, missing, whole = layout.benchmark_dir(name), [], False, False
    if name not in READERS:
        known = ", ".join(READERS)
        found.not_scanned.append((set_name, f"its files cannot be read by this version, which reads {known}"))
        return
    for place in places:
        try:
            items += _published(READERS[name], place, note)
        except (PicochatError, OSError):
            if not lenient:
                raise
            missing = True
    if attached:
        scored, whole = attached.items(name)
        items += scored
    if missing and not whole:
        found.not_scanned.append((set_name, "its published files are not here"))
        return
    found.sets.append(ItemSet(set_name, "benchmark", tuple(dict.fromkeys(items))))


def _published(reader: BenchmarkReader, folder: Path, note: Note) -> list[Item]:
    items, files = reader.published(folder)
    for file in files:
        note("benchmark", file.resolve())
    return items


def _items_of(reader: BenchmarkReader, path: Path) -> Iterator[Item]:
    for number, row in enumerate(iter_jsonl(path), 1):
        try:
            yield reader.scored(row)
        except (KeyError, TypeError) as err:
            refuse("benchmark.row", f"{path} row {number}: {err} is missing", fix="run the benchmark again")
