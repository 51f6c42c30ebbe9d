"""Pages of stored rows: filtered, searched, and beside the same rows of another run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.confined import open_below
from picochat.core.errors import PicochatError
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.views.evals.eval_rows import FAIL, FLAGS, PASS, Decode, show_row, text_of
from picochat.views.evals.row_index import RowIndex, build_index, pair_places, read_rows, same_question
from picochat.workbench.bench import Workbench, is_id
from picochat.workbench.problems import Problem, not_found
from picochat.workbench.routing import Question

Wanted = Literal["all", "pass", "fail", "echo", "repetition", "unfinished", "unsupported", "refused", "flipped"]
MAX_PAGE = 200
SEARCHED_ROWS = 10_000
"""A search looks through so many rows, then answers with where it goes on."""
SETS = {
    "eval": f"{layout.EVAL}/{layout.ROWS}",
    "fit": f"{layout.EVAL}/{layout.FIT_ROWS}",
    "heldout": f"{layout.EVAL}/{layout.HELDOUT_ROWS}",
    "memorisation": layout.MEMORISATION_ROWS,
}
TITLES = {"eval": "eval", "fit": "fit", "heldout": "held-out fit", "memorisation": "known by heart"}
BENCHMARK = "benchmark:"
_NAME = re.compile(rf"({'|'.join(SETS)}|{BENCHMARK}[A-Za-z0-9._-]{{1,80}})")


class RowsQuery(Question):
    """Which rows. `row` asks for one of them in full; `flipped` is a verdict that the run `against` does not share."""

    set: str = Field(default="eval", pattern=rf"^{_NAME.pattern}$")
    filter: Wanted = "all"
    category: str | None = Field(default=None, max_length=300)
    search: str = Field(default="", max_length=200)
    cursor: int = Field(default=0, ge=0)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    against: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,80}$")
    row: int | None = Field(default=None, ge=0)


def path_of(name: str) -> str:
    """The file of a set. Raises 404 for a name that is none."""
    if not name.startswith(BENCHMARK):
        return SETS[name]
    benchmark = name.removeprefix(BENCHMARK)
    if not is_id(benchmark):
        raise not_found("there is no benchmark of that name")
    return f"{layout.benchmark_dir(benchmark)}/{layout.ROWS}"


def list_sets(store: RunStore) -> list[dict[str, Any]]:
    """Every set, and whether its file lies in the run."""
    folder = store.path(layout.BENCHMARKS)
    try:
        names = sorted(path.name for path in folder.iterdir() if is_id(path.name))
    except OSError:
        names = []
    sets = [{"set": name, "title": TITLES[name]} for name in SETS]
    sets += [{"set": f"{BENCHMARK}{name}", "title": name} for name in names]
    return [entry | {"there": _is_there(store.root, path_of(entry["set"]))} for entry in sets]


def _is_there(root: Path, relative: str) -> bool:
    try:
        open_below(root, relative).close()
    except OSError:
        return False
    return True


def index_of(bench: Workbench, store: RunStore, relative: str) -> RowIndex:
    """The index of a file, kept until the file is another one."""
    key = ("rows", store.root, relative)
    return bench.memo.read(key, [store.path(relative)], lambda: build_index(store.root, relative))


class RowPages:
    """The rows of one set of a run, and of another run beside them."""

    def __init__(self, bench: Workbench, store: RunStore, query: RowsQuery) -> None:
        self._store, self._query, self._path = store, query, path_of(query.set)
        self.index = index_of(bench, store, self._path)
        self._decode = _decoder(bench, store) if query.set == "memorisation" else None
        self._other: tuple[RunStore, RowIndex] | None = None
        self._pairs: dict[int, int] = {}
        if query.against is not None:
            other = bench.run(query.against)
            self._other = other, index_of(bench, other, self._path)
            self._pairs = pair_places(self.index, self._other[1], range(len(self.index)))
        elif query.filter == "flipped":
            raise Problem(422, "query", "filter=flipped needs a run to compare with", fix="add against=RUN")

    def document(self) -> dict[str, Any]:
        """The page. Raises 404 for a row that the set does not have."""
        index, query = self.index, self._query
        places, following, scanned = self._one() if query.row is not None else self._page()
        return {
            "set": query.set,
            "artifact": self._path,
            "state": index.state,
            "why": index.why,
            "torn": index.torn,
            "whole": index.whole,
            "unreadable": index.unreadable,
            "counts": index.counts(),
            "matched": None if query.search else sum(1 for _ in self._matching(0)),
            "scanned": scanned,
            "rows": self._rows(places),
            "next": following,
            "against": self._against(),
        }

    def _one(self) -> tuple[list[int], None, int]:
        place = self._query.row or 0
        if place >= len(self.index):
            raise not_found(f"the set has {len(self.index):,} rows")
        return [place], None, 1

    def _matching(self, start: int) -> Iterator[int]:
        """Places from `start` on that pass filter and category."""
        index, query = self.index, self._query
        for place in range(start, len(index)):
            if query.category is not None and not index.in_category(place, query.category):
                continue
            if query.filter in (PASS, FAIL) and index.verdict(place) != query.filter:
                continue
            if query.filter in FLAGS and not index.has_flag(place, query.filter):
                continue
            if query.filter == "flipped" and not self._is_flipped(place):
                continue
            yield place

    def _page(self) -> tuple[list[int], int | None, int]:
        """Places of this page, where the next one begins, and how many rows were looked through."""
        wanted = self._query.search.casefold()
        found: list[int] = []
        scanned = 0
        for place, row in self._candidates(wanted):
            if len(found) == self._query.limit or scanned == SEARCHED_ROWS:
                return found, place, scanned
            scanned += 1
            if not wanted or (row is not None and wanted in text_of(row)):
                found.append(place)
        return found, None, scanned

    def _candidates(self, wanted: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
        places = self._matching(self._query.cursor)
        return self._read(self._store, self.index, places) if wanted else ((place, None) for place in places)

    def _read(
        self, store: RunStore, index: RowIndex, places: Iterable[int]
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Rows of a file that may be gone by now: then there are none."""
        if not len(index):
            return
        try:
            yield from read_rows(store.root, index, places)
        except OSError:
            return

    def _rows(self, places: list[int]) -> list[dict[str, Any]]:
        whole = self._query.row is not None
        beside = self._beside(places, whole)
        rows = []
        for place, row in self._read(self._store, self.index, places):
            if row is not None:
                shown = show_row(row, place, whole=whole, decode=self._decode)
                rows.append(shown | {"other": beside.get(place)})
        return rows

    def _beside(self, places: list[int], whole: bool) -> dict[int, dict[str, Any]]:
        """The same rows of the other run; `flipped` is None where another question was asked under the id."""
        if self._other is None:
            return {}
        store, index = self._other
        wanted = {self._pairs[place]: place for place in places if place in self._pairs}
        found = {}
        for there, row in self._read(store, index, list(wanted)):
            if row is None:
                continue
            place = wanted[there]
            same = same_question(self.index, place, index, there)
            found[place] = show_row(row, there, whole=whole) | {
                "same_question": same,
                "flipped": self._is_flipped(place) if same else None,
            }
        return found

    def _is_flipped(self, place: int) -> bool:
        if self._other is None or place not in self._pairs:
            return False
        there, index = self._pairs[place], self._other[1]
        verdicts = {self.index.verdict(place), index.verdict(there)}
        return same_question(self.index, place, index, there) and verdicts == {PASS, FAIL}

    def _against(self) -> dict[str, Any] | None:
        """How the two files lie over one another."""
        if self._other is None:
            return None
        store, index = self._other
        same = [place for place, there in self._pairs.items() if same_question(self.index, place, index, there)]
        return {
            "run": store.root.name,
            "state": index.state,
            "why": index.why,
            "rows": len(index),
            "paired": len(same),
            "flipped": sum(map(self._is_flipped, same)),
        }


def _decoder(bench: Workbench, store: RunStore) -> Decode | None:
    """The run's tokenizer as a function from ids to text; None without one that can be read."""
    path = store.path(layout.TOKENIZER)

    def load() -> Decode | None:
        try:
            open_below(store.root, layout.TOKENIZER).close()
            return Tokenizer.load(path, fast=False).decode
        except (OSError, PicochatError):
            return None

    return bench.memo.read(("decoder", store.root), [path], load)
