"""ARC, science questions (Clark et al. 2018), in both published layouts.

    {"question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}
    {"question", "choices": {"text": [], "label": []}, "answerKey"}

Labels are A to E or 1 to 5, and the key is one of the row's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.layouts.files import (
    Options,
    RowFile,
    choose_split,
    list_files,
    read_examples,
    read_file,
)
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.items import Option, TaskData, TaskItem

LABELS = frozenset("ABCDE") | frozenset("12345")
_WORDS = {"arc_easy": ("easy", "challenge"), "arc_challenge": ("challenge", "easy")}


def read_arc_easy(root: Path, options: Options) -> TaskData:
    """The test split of ARC-Easy. Raises `benchmark.*`."""
    return _read("arc_easy", root, options)


def read_arc_challenge(root: Path, options: Options) -> TaskData:
    """The test split of ARC-Challenge. Raises `benchmark.*`."""
    return _read("arc_challenge", root, options)


def _read(name: str, root: Path, options: Options) -> TaskData:
    files = [path for path in list_files(root, name) if not _is_other(name, str(path.relative_to(root.parent)))]
    if not files:
        refuse("benchmark.empty", f"{name}: every file of {root} is named as one of the other half of ARC")
    chosen = choose_split(files, root, ("test", "validation", "dev"), name)
    shots = TABLE[name].shots if options.shots is None else options.shots
    examples, example_files = read_examples(files, root, name, ("train",), shots, _example)
    items, records = [], []
    for part, path in enumerate(chosen):
        file = read_file(path, root)
        items += [_item(name, file, part, number, row, examples) for number, row in file.rows]
        records.append(file.record(name, "test"))
    return TaskData(tuple(items), (*records, *example_files))


def _is_other(name: str, path: str) -> bool:
    """Whether a path names the other half of ARC, and not this one too."""
    own, other = _WORDS[name]
    return other in path.lower() and own not in path.lower()


def _item(name: str, file: RowFile, part: int, number: int, row: dict[str, Any], examples: tuple[str, ...]) -> TaskItem:
    question, texts, answer = parse_row(file, number, row)
    context = f"Question: {question}\nAnswer:"
    return TaskItem(
        id=f"{name}/{part}-{number}" if part else f"{name}/{number}",
        group=name,
        kind="choice",
        question=question,
        answers=(texts[answer],),
        options=tuple(Option(context, f" {text}", text) for text in texts),
        answer=answer,
        examples=examples,
    )


def _example(file: RowFile, number: int, row: dict[str, Any]) -> str:
    question, texts, answer = parse_row(file, number, row)
    return f"Question: {question}\nAnswer: {texts[answer]}\n\n"


def parse_row(file: RowFile, number: int, row: dict[str, Any]) -> tuple[str, list[str], int]:
    """Question, options and the index of the right one. Raises `benchmark.row`."""
    question, choices = row.get("question"), row.get("choices")
    if isinstance(question, dict):
        question, choices = question.get("stem"), question.get("choices")
    if not isinstance(question, str) or not question.strip():
        file.refuse(number, f"question is {question!r}, a text is needed")
    pairs = _pairs(choices)
    if pairs is None or not 2 <= len(pairs) <= 5 or not all(isinstance(t, str) and t.strip() for _, t in pairs):
        file.refuse(number, f"choices are {choices!r}, 2 to 5 texts with labels are needed")
    labels = [label for label, _ in pairs]
    if len(set(labels)) != len(labels) or not set(labels) <= LABELS:
        file.refuse(number, f"labels are {labels}, different ones of A to E or 1 to 5 are needed")
    key = row.get("answerKey")
    if key not in labels:
        file.refuse(number, f"answerKey {key!r} is none of the labels {', '.join(labels)}")
    return question, [text for _, text in pairs], labels.index(key)


def _pairs(choices: Any) -> list[tuple[str, str]] | None:
    if isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        return [(str(choice.get("label")), choice.get("text")) for choice in choices]
    if not isinstance(choices, dict):
        return None
    texts, labels = choices.get("text"), choices.get("label")
    if not isinstance(texts, list) or not isinstance(labels, list) or len(texts) != len(labels):
        return None
    return [(str(label), text) for label, text in zip(labels, texts, strict=True)]
