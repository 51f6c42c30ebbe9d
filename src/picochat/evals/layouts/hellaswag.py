"""HellaSwag, which ending follows (Zellers et al. 2019): `ctx_a, ctx_b, activity_label, endings[4], label` 0-based."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from picochat.evals.layouts.files import (
    Options,
    RowFile,
    choose_split,
    list_files,
    number_of_label,
    read_examples,
    read_file,
)
from picochat.evals.tasks.base import required_text
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "hellaswag"
ENDINGS = 4
_MARK = re.compile(r"\[.*?\]")


def read_hellaswag(root: Path, options: Options) -> TaskData:
    """The validation split; the labels of the test split were never published. Raises `benchmark.*`."""
    files = list_files(root, NAME)
    shots = TABLE[NAME].shots if options.shots is None else options.shots
    examples, example_files = read_examples(files, root, NAME, ("train",), shots, _example)
    items, records = [], []
    for part, path in enumerate(choose_split(files, root, ("validation", "test"), NAME)):
        file = read_file(path, root)
        items += [_item(file, part, number, row, examples) for number, row in file.rows]
        records.append(file.record(NAME, "validation"))
    return TaskData(tuple(items), (*records, *example_files))


def _item(file: RowFile, part: int, number: int, row: dict[str, Any], examples: tuple[str, ...]) -> TaskItem:
    context, endings, label = _parse(file, number, row)
    return TaskItem(
        id=f"{NAME}/{part}-{number}" if part else f"{NAME}/{number}",
        group=NAME,
        kind="choice",
        question=context,
        answers=(endings[label],),
        options=tuple(Option(context, f" {ending}", ending) for ending in endings),
        answer=label,
        examples=examples,
    )


def _example(file: RowFile, number: int, row: dict[str, Any]) -> str:
    context, endings, label = _parse(file, number, row)
    return f"{context} {endings[label]}\n\n"


def _parse(file: RowFile, number: int, row: dict[str, Any]) -> tuple[str, list[str], int]:
    first, activity = (required_text(row, key, file.path, number) for key in ("ctx_a", "activity_label"))
    second, endings = row.get("ctx_b"), row.get("endings")
    if not isinstance(second, str):
        file.refuse(number, f"ctx_b is {second!r}, a text is needed")
    if not isinstance(endings, list) or len(endings) != ENDINGS or not all(map(_is_text, endings)):
        file.refuse(number, f"endings are {endings!r}, {ENDINGS} texts are needed")
    label = number_of_label(row.get("label"), ENDINGS)
    if label is None:
        file.refuse(number, f"label is {row.get('label')!r}, 0 to {ENDINGS - 1} is needed")
    context = clean(f"{activity}: {first} {second.capitalize()}")
    return context, [clean(ending) for ending in endings], label


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(clean(value))


def clean(text: str) -> str:
    """Without the marks of the WikiHow half: " [title]" ends a sentence, the others go."""
    return _MARK.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ").strip()
