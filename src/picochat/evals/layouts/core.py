"""CORE: the rows of the bundle's tasks in the order and with the examples that are fixed for everybody.

The rows of a task are shuffled with Random(1337). The examples of the row at place i are drawn from all other rows with
Random(1234 + i). A text is examples, each followed by an empty line, then the row itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.layouts.core_bundle import BundleTask, core_file, read_bundle
from picochat.evals.layouts.files import Options, RowFile, read_file
from picochat.evals.tasks.base import required_text
from picochat.evals.tasks.items import Kind, Option, TaskData, TaskItem

ORDER_SEED, EXAMPLE_SEED = 1337, 1234
Row = dict[str, Any]


def read_core(root: Path, options: Options) -> TaskData:
    """All tasks of a bundle. Raises `benchmark.*` or `usage.extra`."""
    bundle = read_bundle(root)
    files: dict[Path, RowFile] = {}
    items: list[TaskItem] = []
    for task in bundle.tasks:
        if task.path not in files:
            if not task.path.is_file():
                refuse("benchmark.missing", f"core: task {task.label} needs {task.path}, which does not exist")
            files[task.path] = read_file(task.path, root)
        items += build_items(task, files[task.path])
    records = [core_file(path.relative_to(root).as_posix(), file.data, len(file.rows)) for path, file in files.items()]
    note = f"The bundle's own baselines are version {bundle.baselines}; both versions are computed from the table."
    return TaskData(tuple(items), (*bundle.files, *records), (note,))


def build_items(task: BundleTask, file: RowFile) -> list[TaskItem]:
    """The items of a task in their fixed order. Raises `benchmark.row` or `benchmark.shots`."""
    for number, row in file.rows:
        _REQUIRE[task.kind](file, number, row)
    records = list(file.rows)
    random.Random(ORDER_SEED).shuffle(records)
    if task.shots >= len(records) and task.shots:
        refuse("benchmark.shots", f"{task.label}: {task.shots} examples beside an item, {file.name} has {len(records)}")
    texts = [_example(task, row) + "\n\n" for _, row in records]
    return [_item(task, number, row, _draw(place, task.shots, texts)) for place, (number, row) in enumerate(records)]


def _draw(place: int, shots: int, texts: list[str]) -> tuple[str, ...]:
    """Examples for the row at a place: drawn by position among the others, which skips the row itself."""
    if not shots:
        return ()
    drawn = random.Random(EXAMPLE_SEED + place).sample(range(len(texts) - 1), shots)
    return tuple(texts[position + (position >= place)] for position in drawn)


def _example(task: BundleTask, row: Row) -> str:
    match task.kind:
        case "choice":
            return row["query"] + task.delimiter + row["choices"][row["gold"]]
        case "schema":
            return row["context_options"][row["gold"]] + task.delimiter + row["continuation"]
        case _:
            return row["context"].strip() + task.delimiter + row["continuation"]


def _item(task: BundleTask, number: int, row: Row, examples: tuple[str, ...]) -> TaskItem:
    match task.kind:
        case "choice":
            question, answers = row["query"], (row["choices"][row["gold"]],)
            options = tuple(Option(row["query"], task.delimiter + text, text) for text in row["choices"])
            span = "options"
        case "schema":
            question, answers = _example(task, row), ()
            rest = task.delimiter + row["continuation"]
            options = tuple(Option(context, rest, context) for context in row["context_options"])
            span = "suffix"
        case _:
            question, answers, whole = row["context"].strip(), (row["continuation"].strip(),), _example(task, row)
            context = (question + task.delimiter).rstrip()
            options, span = (Option(context, whole[len(context) :], row["continuation"].strip()),), "context"
    return TaskItem(
        id=f"{task.label}/{number}",
        group=task.label,
        kind=task.kind,
        question=question,
        answers=answers,
        options=options,
        answer=row.get("gold", 0),
        examples=examples,
        span=span,
    )


def _require_choice(file: RowFile, number: int, row: Row) -> None:
    required_text(row, "query", file.path, number)
    _require_options(file, number, row, "choices")


def _require_schema(file: RowFile, number: int, row: Row) -> None:
    required_text(row, "continuation", file.path, number)
    _require_options(file, number, row, "context_options")


def _require_cloze(file: RowFile, number: int, row: Row) -> None:
    for key in ("context", "continuation"):
        required_text(row, key, file.path, number)


def _require_options(file: RowFile, number: int, row: Row, key: str) -> None:
    options, gold = row.get(key), row.get("gold")
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(o, str) and o for o in options):
        file.refuse(number, f"{key} are {options!r}, at least two texts are needed")
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(options):
        file.refuse(number, f"gold is {gold!r}, 0 to {len(options) - 1} is needed")


_REQUIRE: dict[Kind, Callable[[RowFile, int, Row], None]] = {
    "choice": _require_choice,
    "schema": _require_schema,
    "cloze": _require_cloze,
}
