"""PIQA, how to do an everyday thing (Bisk et al. 2020): `goal, sol1, sol2`, and the labels 0 or 1 in a file beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.errors import refuse
from picochat.evals.layouts.files import (
    Options,
    RowFile,
    choose_split,
    list_files,
    number_of_label,
    optional_split,
    read_file,
    read_labels,
    take_examples,
)
from picochat.evals.tasks.base import BenchmarkFile, required_text
from picochat.evals.tasks.facts import REGISTERED, TABLE
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "piqa"


class _Question(NamedTuple):
    goal: str
    solutions: tuple[str, str]
    label: int

    @property
    def context(self) -> str:
        return f"Question: {self.goal}\nAnswer:"


def read_piqa(root: Path, options: Options) -> TaskData:
    """The validation split with its labels. Raises `benchmark.*`."""
    files = list_files(root, NAME)
    questions, records = _read_split(choose_split(files, root, ("validation", "dev"), NAME), root, "validation")
    shots = TABLE[NAME].shots if options.shots is None else options.shots
    examples: tuple[str, ...] = ()
    if shots:
        train, train_files = _read_split(optional_split(files, root, ("train",)), root, "train")
        texts = [f"{q.context} {q.solutions[q.label]}\n\n" for q in train]
        examples = take_examples(texts, shots, "the train split beside the items")
        records += train_files
    items = [_item(number, question, examples) for number, question in enumerate(questions, 1)]
    return TaskData(tuple(items), tuple(records))


def _item(number: int, question: _Question, examples: tuple[str, ...]) -> TaskItem:
    return TaskItem(
        id=f"{NAME}/{number}",
        group=NAME,
        kind="choice",
        question=question.goal,
        answers=(question.solutions[question.label],),
        options=tuple(Option(question.context, f" {text}", text) for text in question.solutions),
        answer=question.label,
        examples=examples,
    )


def _read_split(paths: list[Path], root: Path, key: str) -> tuple[list[_Question], list[BenchmarkFile]]:
    questions: list[_Question] = []
    records: list[BenchmarkFile] = []
    for path in paths:
        file = read_file(path, root)
        records.append(file.record(NAME, key))
        labels = _inline_labels(file)
        if labels is None:
            found, labels = _labels_beside(file, root, key)
            records.append(found)
        for (number, row), label in zip(file.rows, labels, strict=True):
            goal, first, second = (required_text(row, name, path, number) for name in ("goal", "sol1", "sol2"))
            index = number_of_label(label, 2)
            if index is None:
                file.refuse(number, f"label is {label!r}, 0 or 1 is needed")
            questions.append(_Question(goal, (first, second), index))
    return questions, records


def _inline_labels(file: RowFile) -> list[Any] | None:
    """The labels inside the rows, as tables of this benchmark carry them; None where the first row has none."""
    return [row.get("label") for _, row in file.rows] if "label" in file.rows[0][1] else None


def _labels_beside(file: RowFile, root: Path, key: str) -> tuple[BenchmarkFile, list[str]]:
    path = file.path.with_name(f"{file.path.stem}-labels.lst")
    if not path.is_file():
        refuse("benchmark.missing", f"{NAME}: {file.path.name} carries no labels, and {path} does not exist")
    record, labels = read_labels(path, root)
    if len(labels) != len(file.rows):
        refuse("benchmark.row", f"{path} has {len(labels):,} labels for {len(file.rows):,} rows of {file.path.name}")
    name = f"{key} labels"
    registered = REGISTERED[NAME].get(name) == record.sha256
    return BenchmarkFile(record.name, record.sha256, record.n_items, registered, name), labels
