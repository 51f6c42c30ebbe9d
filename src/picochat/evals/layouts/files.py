"""Finding and reading the local files of a benchmark: folders, splits, JSONL, Parquet, CSV; rows are numbered from 1.

Nothing is guessed where two files could be meant; nothing is downloaded.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.core.hashing import sha256_bytes
from picochat.evals.tasks.base import BenchmarkFile, digest_file, read_rows, refuse_row
from picochat.evals.tasks.facts import REGISTERED

Record = tuple[int, dict[str, Any]]
ROW_FILES = (".jsonl", ".parquet")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|dev|validation|valid|val|test)(?=[^a-z]|$)")
_SAME = {"valid": "validation", "val": "validation"}
_PART = re.compile(r"-\d+-of-\d+\.parquet$")


@dataclass(frozen=True)
class Options:
    """What a reader may be told: how many examples, and which number the first option has."""

    shots: int | None = None
    answer_base: int | None = None


@dataclass(frozen=True)
class RowFile:
    """A file that was read: its path, its name below the folder that was given, its bytes and its rows."""

    path: Path
    name: str
    data: bytes
    rows: Sequence[Record]

    def refuse(self, number: int, what: str) -> NoReturn:
        refuse_row(self.path, number, what)

    def record(self, benchmark: str, key: str) -> BenchmarkFile:
        """Its record; `key` is its name in the table of digests."""
        found = digest_file(self.data, self.path, len(self.rows), REGISTERED[benchmark], key)
        return BenchmarkFile(self.name, found.sha256, found.n_items, found.registered, key)


def list_files(root: Path, benchmark: str, suffixes: Sequence[str] = ROW_FILES) -> list[Path]:
    """The files of these kinds below a folder, by name, or the file that was given.

    Raises `benchmark.missing` without the path, `benchmark.empty` without such a file.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        refuse("benchmark.missing", f"{benchmark}: {root} is no folder and no file")
    found = sorted(path for path in root.rglob("*") if path.suffix in suffixes and path.is_file())
    return found or refuse("benchmark.empty", f"{benchmark}: {root} holds 0 files named {_named(suffixes)}")


def split_of(path: Path, root: Path) -> str:
    """`train`, `dev`, `validation` or `test` by the file's name, else by its folder's; "" when neither says it."""
    parts = [path.stem, *reversed(path.relative_to(root).parent.parts)] if root.is_dir() else [path.stem]
    for part in parts:
        if found := _SPLIT.findall(part.lower()):
            split: str = found[-1]
            return _SAME.get(split, split)
    return ""


def choose_split(files: Sequence[Path], root: Path, wanted: Sequence[str], benchmark: str) -> list[Path]:
    """The files of the first split that is there; where no file names a split, all of them.

    One file, or the numbered parts of one Parquet table. Raises `benchmark.layout`.
    """
    chosen = _first_split(files, root, wanted) or [path for path in files if not split_of(path, root)]
    if not chosen:
        refuse("benchmark.layout", f"{benchmark}: {root} has no file of the {' or '.join(wanted)} split")
    if len(chosen) > 1 and not all(_PART.search(path.name) for path in chosen):
        names = " and ".join(path.name for path in chosen[:3])
        refuse(
            "benchmark.layout",
            f"{benchmark}: {names} may all be meant",
            fix="give one of the files with --data, or a folder with one of them",
        )
    return chosen


def optional_split(files: Sequence[Path], root: Path, wanted: Sequence[str]) -> list[Path]:
    """The files of the first of these splits that is there, or none."""
    return _first_split(files, root, wanted) if root.is_dir() else []


def _first_split(files: Sequence[Path], root: Path, wanted: Sequence[str]) -> list[Path]:
    """Of a split's files those that are named after it alone (test.jsonl beside test_other.jsonl), else all."""
    for split in wanted:
        if found := [path for path in files if split_of(path, root) == split]:
            plain = [path for path in found if _SAME.get(path.stem.lower(), path.stem.lower()) == split]
            return plain or found
    return []


def read_file(path: Path, root: Path) -> RowFile:
    """A JSONL or Parquet file. Raises `benchmark.empty`, `benchmark.row`, `benchmark.layout` or `usage.extra`."""
    data = path.read_bytes()
    rows = _read_parquet(data, path) if path.suffix == ".parquet" else list(read_rows(data, path))
    if not rows:
        refuse("benchmark.empty", f"{path} holds 0 rows")
    return RowFile(path, _name(path, root), data, rows)


def read_cells(path: Path, root: Path) -> tuple[RowFile, list[tuple[int, list[str]]]]:
    """A CSV file without a header: the file, and (row number, cells). Raises `benchmark.empty`, `benchmark.row`."""
    data = path.read_bytes()
    try:
        records = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as err:
        refuse("benchmark.row", f"{path} is not UTF-8 CSV: {err}")
    rows = [(number, cells) for number, cells in enumerate(records, 1) if cells]
    if not rows:
        refuse("benchmark.empty", f"{path} holds 0 rows")
    return RowFile(path, _name(path, root), data, [(number, {}) for number, _ in rows]), rows


def read_labels(path: Path, root: Path) -> tuple[BenchmarkFile, list[str]]:
    """A file with one label a line. Raises `benchmark.empty`."""
    data = path.read_bytes()
    lines = data.decode(errors="replace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        refuse("benchmark.empty", f"{path} holds 0 labels")
    return BenchmarkFile(_name(path, root), sha256_bytes(data), len(lines), False), [line.strip() for line in lines]


def take_examples(texts: Sequence[str], wanted: int, where: str) -> tuple[str, ...]:
    """The first `wanted` examples. Raises `benchmark.shots` where there are fewer."""
    if len(texts) < wanted:
        refuse("benchmark.shots", f"{wanted} examples are wanted, {where} has {len(texts)}")
    return tuple(texts[:wanted])


def number_of_label(value: Any, count: int, base: int = 0) -> int | None:
    """The index that an integer, or a text that spells one, stands for; None outside of `count` options."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    index = int(text) - base if re.fullmatch(r"\d{1,3}", text) else -1
    return index if 0 <= index < count else None


def _read_parquet(data: bytes, path: Path) -> list[Record]:
    parquet = require_extra("pyarrow.parquet", f"{path} is a Parquet file")
    arrow = require_extra("pyarrow", f"{path} is a Parquet file")
    try:
        table = parquet.ParquetFile(io.BytesIO(data)).read(use_threads=False)
        return list(enumerate(table.to_pylist(), 1))
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as err:
        refuse("benchmark.row", f"{path} cannot be read as Parquet: {str(err).splitlines()[0]}")


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if root.is_dir() else path.name


def _named(suffixes: Sequence[str]) -> str:
    return " or ".join(f"*{suffix}" for suffix in suffixes)


Render = Callable[[RowFile, int, dict[str, Any]], str]


def read_examples(
    files: Sequence[Path], root: Path, benchmark: str, splits: Sequence[str], wanted: int, render: Render
) -> tuple[tuple[str, ...], list[BenchmarkFile]]:
    """The first `wanted` rows of a split as examples, and the records of its files. Raises `benchmark.shots`."""
    if not wanted:
        return (), []
    found = [read_file(path, root) for path in optional_split(files, root, splits)]
    rows = [(file, number, row) for file in found for number, row in file.rows][:wanted]
    where = found[0].name if found else f"no {' or '.join(splits)} split beside the items, which"
    texts = take_examples([render(*entry) for entry in rows], wanted, where)
    return texts, [file.record(benchmark, file.name) for file in found]
