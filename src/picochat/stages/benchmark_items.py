"""The texts of benchmark items, for whoever compares them with training text: by benchmark, how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.data.contamination.items import Item
from picochat.evals.tasks import blimp


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


READERS = {
    blimp.FACTS.name: BenchmarkReader(_read_blimp, lambda row: Item(str(row["id"]), row["good"], (row["bad"],))),
}
"""A minimal pair is looked for as its good sentence; the bad one stands for an answer."""
