"""LAMBADA, the last word of a passage (Paperno et al. 2016): `text`, of which the last word is the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.evals.layouts.files import Options, RowFile, choose_split, list_files, read_file
from picochat.evals.tasks.base import required_text
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "lambada"


def read_lambada(root: Path, options: Options) -> TaskData:
    """The test split. Raises `benchmark.*`."""
    items, records = [], []
    for part, path in enumerate(choose_split(list_files(root, NAME), root, ("test",), NAME)):
        file = read_file(path, root)
        items += [_item(file, part, number, row) for number, row in file.rows]
        records.append(file.record(NAME, "test"))
    return TaskData(tuple(items), tuple(records))


def _item(file: RowFile, part: int, number: int, row: dict[str, Any]) -> TaskItem:
    text = required_text(row, "text", file.path, number).strip()
    context, space, word = text.rpartition(" ")
    if not space or not context.strip():
        file.refuse(number, f"text is {text!r}, at least two words are needed")
    return TaskItem(
        id=f"{NAME}/{part}-{number}" if part else f"{NAME}/{number}",
        group=NAME,
        kind="cloze",
        question=context,
        answers=(word,),
        options=(Option(context, f" {word}", word),),
    )
