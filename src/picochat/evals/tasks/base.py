"""What external benchmarks share: the facts fixed before a run, and strict reading of local files.

Nothing is downloaded. A file whose digest stands in a task's table is `registered`; any other is `unregistered`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from picochat.core.errors import PicochatError, refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import parse_json

Score = Literal["pair", "raw", "per_byte", "mean_loss", "greedy", "number"]
"""What decides an item: see `evals.tasks.verdicts`; `pair` is BLiMP's own."""


@dataclass(frozen=True)
class BenchmarkFacts:
    """Fixed before any run: chance, shots, prompt form, headline and the threshold of its chance-adjusted score."""

    name: str
    chance: float
    shots: int
    prompt: str
    headline: str
    adjusted_threshold: float | None
    """None: the score is shown and never judged."""
    minimum_n: int = 50
    metric: str = ""
    """The headline in the short form that reports carry."""
    score: Score = "pair"
    published_items: int | None = None
    """Items of the whole benchmark; fewer of them are a part of it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BenchmarkFile:
    """One file that was read: its name, digest, number of items, and whether the digest is in the task's table."""

    name: str
    sha256: str
    n_items: int
    registered: bool
    key: str = ""
    """What the table of digests calls it: a paradigm, a split."""


def list_jsonl(folder: Path, benchmark: str) -> list[Path]:
    """The folder's JSONL files by name. Raises `benchmark.missing` (no folder) and `benchmark.empty` (no files)."""
    if not folder.is_dir():
        refuse("benchmark.missing", f"{benchmark}: {folder} is not a folder")
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jsonl" and path.is_file())
    return files or refuse("benchmark.empty", f"{benchmark}: {folder} holds 0 files named *.jsonl")


def read_rows(data: bytes, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, object) of a JSONL file's bytes.

    Raises `benchmark.empty` for a file without rows and `benchmark.row` for a blank, broken or non-object row.
    """
    if not data.strip():
        refuse("benchmark.empty", f"{path} holds 0 rows")
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        yield number, _parse_row(line, path, number)


def refuse_row(path: Path, number: int, what: str) -> NoReturn:
    """Raises `benchmark.row`, naming file and row."""
    refuse("benchmark.row", f"{path} row {number}: {what}")


def required_text(row: dict[str, Any], key: str, path: Path, number: int) -> str:
    """The field as text that is not blank. Raises `benchmark.row`."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        refuse_row(path, number, f"{key} is {value!r}, a text is needed")
    return value


def digest_file(data: bytes, path: Path, n_items: int, registered: dict[str, str], key: str) -> BenchmarkFile:
    """The record of a file that was read."""
    digest = sha256_bytes(data)
    return BenchmarkFile(path.name, digest, n_items, registered.get(key) == digest, key)


def _parse_row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    if not line.strip():
        refuse_row(path, number, "the line is empty")
    try:
        row = parse_json(line, f"{path} row {number}")
    except PicochatError as error:
        refuse("benchmark.row", error.detail)
    return row if isinstance(row, dict) else refuse_row(path, number, "not an object")
