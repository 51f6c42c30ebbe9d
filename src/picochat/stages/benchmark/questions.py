"""What the stage asks: BLiMP's pairs, or the items of any other benchmark, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from picochat.evals.layouts.catalog import read_items, require_options
from picochat.evals.layouts.files import Options
from picochat.evals.tasks.asking import Scorer, ask_items
from picochat.evals.tasks.base import BenchmarkFile
from picochat.evals.tasks.blimp import FACTS as BLIMP
from picochat.evals.tasks.blimp import BlimpItem, read_blimp, score_blimp
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.items import TaskItem
from picochat.stages.benchmark.config import BenchmarkConfig

Rows = list[dict[str, Any]]


class HasGroup(Protocol):
    """An item of some paradigm, subject or task."""

    @property
    def group(self) -> str: ...


Grouped = TypeVar("Grouped", bound=HasGroup)


@dataclass(frozen=True)
class Questions:
    """The files, the items that are asked of how many, what a reader must know, and how they are asked."""

    files: tuple[BenchmarkFile, ...]
    asked: int
    items: int
    notes: tuple[str, ...]
    ask: Callable[[Scorer, Callable[[int], None]], Rows]

    @property
    def limited(self) -> bool:
        return self.asked < self.items


def read_questions(config: BenchmarkConfig) -> Questions:
    """Reads the local files. Raises `benchmark.*`, or `config.value` for an option that the benchmark lacks."""
    folder, options = Path(config.data), Options(config.shots, config.answer_base)
    if config.name == BLIMP.name:
        require_options(config.name, options)
        data = read_blimp(folder)
        pairs = limit_items(data.items, config.limit)
        return Questions(data.files, len(pairs), len(data.items), (), lambda scorer, on: _ask_pairs(pairs, scorer, on))
    found = read_items(config.name, folder, options)
    items = limit_items(found.items, config.limit)
    return Questions(
        found.files,
        len(items),
        len(found.items),
        found.notes,
        lambda scorer, on_done: _ask(items, config.name, scorer, on_done),
    )


def _ask(items: list[TaskItem], name: str, scorer: Scorer, on_done: Callable[[int], None]) -> Rows:
    return ask_items(items, TABLE[name], scorer, on_done)


def _ask_pairs(pairs: list[BlimpItem], scorer: Scorer, on_done: Callable[[int], None]) -> Rows:
    """A sentence scores the sum over its tokens after BOS; one that does not fit is refused, never cut."""
    done = 0

    def scores(texts: list[str]) -> Sequence[float]:
        nonlocal done
        found = scorer.logprobs([([scorer.bos], scorer.encode(text)) for text in texts])
        done += len(texts) // 2
        on_done(done)
        return found

    return score_blimp(pairs, scores)


def limit_items(items: Sequence[Grouped], limit: int | None) -> list[Grouped]:
    """The first `limit` items of each group, in their order; all of them for None."""
    seen: dict[str, int] = {}
    kept = []
    for item in items:
        seen[item.group] = seen.get(item.group, 0) + 1
        if limit is None or seen[item.group] <= limit:
            kept.append(item)
    return kept
