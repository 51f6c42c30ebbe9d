"""The texts of benchmark items, for whoever compares them with training text: by benchmark, how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from picochat.core.errors import PicochatError
from picochat.data.contamination.items import Item
from picochat.evals.layouts.catalog import LAYOUTS, read_items
from picochat.evals.layouts.files import Options
from picochat.evals.tasks import blimp
from picochat.evals.tasks.items import TaskData


@dataclass(frozen=True)
class BenchmarkReader:
    """How the items of a benchmark are read: from the files as published, and from the rows of a run."""

    published: Callable[[Path], tuple[list[Item], list[Path]]]
    """Items, and the files they stand in."""
    scored: Callable[[dict[str, Any]], Item]


def _read_blimp(folder: Path) -> tuple[list[Item], list[Path]]:
    data = blimp.read_blimp(folder)
    items = [Item(item.id, item.good, (item.bad,)) for item in data.items]
    return items, [folder / file.name for file in data.files]


def _read(name: str, root: Path) -> tuple[list[Item], list[Path]]:
    data = _read_counted(name, root)
    items = [Item(item.id, item.question, item.answers) for item in data.items]
    return items, [root / file.name if root.is_dir() else root.with_name(file.name) for file in data.files]


def _read_counted(name: str, root: Path) -> TaskData:
    """Where integers do not say whether they count from 0 or 1, a 4 without a 0 is taken to count from 1.

    For a score that would be a guess; here it decides only which option is looked for behind its question.
    """
    try:
        return read_items(name, root)
    except PicochatError as err:
        if err.code != "benchmark.answer_base":
            raise
        return read_items(name, root, Options(answer_base=1))


def _scored(row: dict[str, Any]) -> Item:
    return Item(str(row["id"]), row["question"], tuple(row["answers"]))


READERS = {
    blimp.FACTS.name: BenchmarkReader(_read_blimp, lambda row: Item(str(row["id"]), row["good"], (row["bad"],))),
} | {name: BenchmarkReader(partial(_read, name), _scored) for name in LAYOUTS}
"""A minimal pair is looked for as its good sentence; the bad one stands for an answer."""
