"""GSM8K, word problems (Cobbe et al. 2021): `question`, `answer` that ends in `#### N`. The model writes its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.evals.layouts.files import (
    Options,
    RowFile,
    choose_split,
    list_files,
    optional_split,
    read_examples,
    read_file,
)
from picochat.evals.numeric import read_number
from picochat.evals.tasks.base import required_text
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "gsm8k"


def read_gsm8k(root: Path, options: Options) -> TaskData:
    """The test split, with examples of the train split where that is given. Raises `benchmark.*`."""
    files = list_files(root, NAME)
    has_train = bool(optional_split(files, root, ("train",)))
    shots = options.shots if options.shots is not None else TABLE[NAME].shots if has_train else 0
    examples, example_files = read_examples(files, root, NAME, ("train",), shots, _example)
    items, records = [], []
    for part, path in enumerate(choose_split(files, root, ("test",), NAME)):
        file = read_file(path, root)
        items += [_item(file, part, number, row, examples) for number, row in file.rows]
        records.append(file.record(NAME, "test"))
    note = () if has_train or options.shots is not None else ("No train split was given, so there are no examples.",)
    return TaskData(tuple(items), (*records, *example_files), note)


def _item(file: RowFile, part: int, number: int, row: dict[str, Any], examples: tuple[str, ...]) -> TaskItem:
    question, _, expected = _parse(file, number, row)
    context = f"Question: {question}\nAnswer:"
    return TaskItem(
        id=f"{NAME}/{part}-{number}" if part else f"{NAME}/{number}",
        group=NAME,
        kind="generate",
        question=question,
        answers=(expected,),
        options=(Option(context, "", expected),),
        expected=expected,
        examples=examples,
    )


def _example(file: RowFile, number: int, row: dict[str, Any]) -> str:
    question, answer, _ = _parse(file, number, row)
    return f"Question: {question}\nAnswer: {answer}\n\n"


def _parse(file: RowFile, number: int, row: dict[str, Any]) -> tuple[str, str, str]:
    question, answer = (required_text(row, key, file.path, number) for key in ("question", "answer"))
    _, marker, expected = answer.rpartition("####")
    expected = expected.strip()
    if not marker or read_number(expected) is None:
        file.refuse(number, f"the answer ends in {answer[-40:]!r}, #### and a number are needed")
    return question, answer, expected
