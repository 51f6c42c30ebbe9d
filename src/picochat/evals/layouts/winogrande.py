"""WinoGrande, whom a pronoun means (Sakaguchi et al. 2020): `sentence` with one `_`, `option1`, `option2`, `answer`.

Scored is the text after the blank, once behind each option: the option itself is part of the context.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.evals.layouts.files import Options, RowFile, choose_split, list_files, number_of_label, read_file
from picochat.evals.tasks.base import required_text
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "winogrande"


def read_winogrande(root: Path, options: Options) -> TaskData:
    """The dev split; the answers of the test split were never published. Raises `benchmark.*`."""
    items, records = [], []
    for part, path in enumerate(choose_split(list_files(root, NAME), root, ("dev", "validation"), NAME)):
        file = read_file(path, root)
        items += [_item(file, part, number, row) for number, row in file.rows]
        records.append(file.record(NAME, "dev"))
    return TaskData(tuple(items), tuple(records))


def _item(file: RowFile, part: int, number: int, row: dict[str, Any]) -> TaskItem:
    sentence, first, second = (required_text(row, key, file.path, number) for key in ("sentence", "option1", "option2"))
    if sentence.count("_") != 1:
        file.refuse(number, f"the sentence has {sentence.count('_')} blanks, one _ is needed")
    before, _, after = sentence.partition("_")
    if not after.strip():
        file.refuse(number, "nothing follows the blank, so nothing can be scored")
    answer = number_of_label(row.get("answer"), 2, base=1)
    if answer is None:
        file.refuse(number, f"answer is {row.get('answer')!r}, 1 or 2 is needed")
    contexts = (before + first, before + second)
    return TaskItem(
        id=f"{NAME}/{part}-{number}" if part else f"{NAME}/{number}",
        group=NAME,
        kind="schema",
        question=contexts[answer] + after,
        answers=(),
        options=tuple(Option(context, f" {after.strip()}", context) for context in contexts),
        answer=answer,
    )
