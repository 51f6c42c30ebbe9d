"""Train documents that hold what the model is judged on, found before the corpus is written: `contamination = "drop"`.

Every document is taken by itself. A text that is cut in two by the border of two documents stays, and the honesty
stage, which reads all documents of a source as one stream, reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.core.disk_arrays import open_array
from picochat.core.errors import refuse
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.index import ContaminationIndex, build_index
from picochat.data.contamination.items import ItemSet, build_row_set, name_items
from picochat.data.contamination.scan import find_items
from picochat.data.pack import LoadedPack
from picochat.evals.benchmark_items import READERS
from picochat.stages.contract import StageContext
from picochat.stages.dataset.chat import ChatSets
from picochat.stages.dataset.join import CleanedPieces, Joined
from picochat.stages.dataset.search import Query, search_train

ITEMS_NAMED = 3
"""Items that are named of a dropped document, the first ones; all are counted."""


@dataclass(frozen=True)
class Contaminated:
    """By document of the pieces the number of items it holds, and the first of them: a map, zero where nothing is."""

    items: NDArray[np.int32]
    names: list[tuple[str, str]]

    def stays(self, first: int, last: int) -> NDArray[np.bool_]:
        return self.items[first:last, 0] == 0

    def describe(self, document: int) -> dict[str, Any]:
        """What the list of dropped documents says of one."""
        count, *first = self.items[document].tolist()
        named = [list(self.names[number]) for number in first[: min(count, ITEMS_NAMED)]]
        return {"items": named, "n_items": count}


def find_nothing(pieces: CleanedPieces) -> Contaminated:
    """The answer where nothing is looked for."""
    return Contaminated(_create(pieces), [])


def find_contaminated(
    ctx: StageContext, pieces: CleanedPieces, joined: Joined, sets: Sequence[ItemSet], config: ContaminationConfig
) -> Contaminated:
    """The documents that stay on the train side and hold an item. Raises `workers.lost` or `run.stopped`."""
    query = Query(partial(_find, build_index(sets, config)), forms=False)
    found = _create(pieces)
    for document, items in search_train(ctx, pieces, joined, query, "looking for what the model is judged on"):
        found[document, 0] = len(items)
        found[document, 1 : 1 + len(items[:ITEMS_NAMED])] = items[:ITEMS_NAMED]
    return Contaminated(found, name_items(sets))


def collect_sets(loaded: LoadedPack, chat: ChatSets, record: StageRecord) -> list[ItemSet]:
    """Eval rows, held-out rows and benchmarks; their files are inputs of `record`.

    Raises `benchmark.*`, or `usage.unavailable` for a benchmark whose files this version cannot read.
    """
    sets = [build_row_set("eval", "eval", chat.eval), build_row_set("heldout", "heldout", chat.heldout)]
    for benchmark in loaded.pack.benchmarks:
        if benchmark.name not in READERS:
            refuse(
                "usage.unavailable",
                f'contamination = "drop" needs the items of benchmark {benchmark.name!r}; those of '
                f"{', '.join(READERS)} can be read",
                fix='set contamination = "report" in the pack, or take the benchmark out of it',
            )
        folder = Path(loaded.resolve(benchmark.path))
        items, files = READERS[benchmark.name].published(folder)
        for file in files:
            record.add_input("benchmark", file.resolve())
        sets.append(ItemSet(layout.benchmark_dir(benchmark.name), "benchmark", tuple(items)))
    return sets


def _create(pieces: CleanedPieces) -> NDArray[np.int32]:
    path = pieces.folder / "join" / "contaminated.i32"
    return open_array(path, np.int32, (len(pieces), 1 + ITEMS_NAMED), create=True)


def _find(index: ContaminationIndex, texts: list[str]) -> list[tuple[int, list[int]]]:
    return [(place, items) for place, items in enumerate(find_items(index, texts)) if items]
