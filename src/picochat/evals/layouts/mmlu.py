"""MMLU, exam questions of 57 subjects (Hendrycks et al. 2021), in two layouts.

    test/SUBJECT_test.csv, dev/SUBJECT_dev.csv    no header: question, four options, letter
    JSONL or Parquet                              question, subject, choices[4], answer

In the second layout the answer is a 0-based integer or a letter. Integers among which a 4 stands and no 0 count from 1,
or the file is broken: nothing is scored until `answer_base` says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.errors import refuse
from picochat.evals.layouts.files import (
    Options,
    RowFile,
    list_files,
    number_of_label,
    read_cells,
    read_file,
    split_of,
    take_examples,
)
from picochat.evals.tasks.base import BenchmarkFile, required_text
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.items import Option, TaskData, TaskItem

NAME = "mmlu"
LETTERS = "ABCD"
_SUFFIXES = (".csv", ".jsonl", ".parquet")
_HEADER_WORDS = frozenset({"question", "subject", "choices", "answer", "target", "a", "b", "c", "d", ""})


class _Question(NamedTuple):
    number: int
    subject: str
    text: str
    choices: tuple[str, ...]
    answer: Any
    """As it stands in the file."""


@dataclass(frozen=True)
class _Source:
    """A file with its questions, and the header rows that were left out of it."""

    file: RowFile
    questions: tuple[_Question, ...]
    headers: tuple[str, ...] = ()


def read_mmlu(root: Path, options: Options) -> TaskData:
    """The test split, with examples of the same subject from the dev split where there is one. Raises `benchmark.*`."""
    files = list_files(root, NAME, _SUFFIXES)
    splits = {path: split_of(path, root) for path in files}
    tests = [path for path in files if splits[path] == "test"] or [path for path in files if not splits[path]]
    if not tests:
        refuse("benchmark.layout", f"{NAME}: {root} has no file of the test split")
    sources = [_read(path, root) for path in tests]
    dev = [_read(path, root) for path in files if splits[path] == "dev"]
    shots = options.shots if options.shots is not None else TABLE[NAME].shots if dev else 0
    bases = [_base(found, options) for found in (sources, dev)]
    examples = _examples(dev, bases[1], shots) if shots else {}
    items = [
        _item(source.file, question, bases[0], examples, shots) for source in sources for question in source.questions
    ]
    _require_distinct(items)
    records = [_record(source, "test") for source in sources] + [_record(source, "dev") for source in dev if shots]
    return TaskData(tuple(items), tuple(records), _notes(sources + dev, bool(dev) or options.shots is not None))


def _notes(sources: list[_Source], has_examples: bool) -> tuple[str, ...]:
    dropped = [f"{source.file.name}: {header}" for source in sources for header in source.headers]
    notes = [f"Header rows left out: {'; '.join(dropped)}."] if dropped else []
    notes += [] if has_examples else ["No dev split was given, so there are no examples."]
    return tuple(notes)


def _record(source: _Source, split: str) -> BenchmarkFile:
    return source.file.record(NAME, f"{split}/{source.file.path.name}")


def _read(path: Path, root: Path) -> _Source:
    return _read_csv(path, root) if path.suffix == ".csv" else _read_rows(path, root)


def _read_csv(path: Path, root: Path) -> _Source:
    file, rows = read_cells(path, root)
    subject = re.sub(r"_(test|dev)$", "", path.stem)
    headers, questions = [], []
    for number, cells in rows:
        if len(cells) != 6:
            file.refuse(number, f"{len(cells)} cells, a question, four options and a letter are needed")
        if number == 1 and _is_header(cells):
            headers.append(f"row 1 ({', '.join(cells)})")
        else:
            questions.append(_Question(number, subject, cells[0], tuple(cells[1:5]), cells[5].strip()))
    return _source(file, questions, headers)


def _read_rows(path: Path, root: Path) -> _Source:
    file = read_file(path, root)
    headers, questions = [], []
    for number, row in file.rows:
        if row.get("question") == "question" and row.get("answer") == "answer":
            headers.append(f"row {number}")
            continue
        choices = row.get("choices")
        if not isinstance(choices, list) or len(choices) != len(LETTERS):
            file.refuse(number, f"choices are {choices!r}, {len(LETTERS)} texts are needed")
        subject, text = (required_text(row, key, path, number) for key in ("subject", "question"))
        questions.append(_Question(number, subject, text, tuple(choices), row.get("answer")))
    return _source(file, questions, headers)


def _source(file: RowFile, questions: list[_Question], headers: list[str]) -> _Source:
    if not questions:
        refuse("benchmark.empty", f"{file.path} holds 0 questions")
    for question in questions:
        for text in (question.text, *question.choices):
            if not isinstance(text, str) or not text.strip():
                file.refuse(question.number, f"{text!r} stands where a text is needed")
    return _Source(file, tuple(questions), tuple(headers))


def _is_header(cells: list[str]) -> bool:
    """Names of columns, or the numbers that a table without names was saved with."""
    plain = [cell.strip().lower() for cell in cells]
    return set(plain) <= _HEADER_WORDS or plain == [str(place) for place in range(len(plain))]


def _base(sources: list[_Source], options: Options) -> int:
    """The integer of the first option. Raises `benchmark.answer_base` where the integers do not say it."""
    if options.answer_base is not None:
        return options.answer_base
    counted = [source for source in sources if source.file.path.suffix != ".csv"]
    numbers = {str(question.answer).strip() for source in counted for question in source.questions}
    if "4" in numbers and "0" not in numbers:
        refuse(
            "benchmark.answer_base",
            f"{NAME}: the answers of {counted[0].file.name} have a 4 and no 0, so they may count from 1",
        )
    return 0


def _answer(file: RowFile, question: _Question, base: int) -> int:
    if isinstance(question.answer, str) and question.answer.strip() in tuple(LETTERS):
        return LETTERS.index(question.answer.strip())
    index = None if file.path.suffix == ".csv" else number_of_label(question.answer, len(LETTERS), base)
    if index is None:
        wanted = "A to D" if file.path.suffix == ".csv" else f"{base} to {base + 3} or A to D"
        file.refuse(question.number, f"the answer is {question.answer!r}, {wanted} is needed")
    return index


def _examples(dev: list[_Source], base: int, shots: int) -> dict[str, tuple[str, ...]]:
    """By subject, the first questions of its dev split with their answers. Raises `benchmark.shots`."""
    texts: dict[str, list[str]] = {}
    for source in dev:
        for question in source.questions:
            letter = LETTERS[_answer(source.file, question, base)]
            texts.setdefault(question.subject, []).append(f"{_context(question)} {letter}\n\n")
    return {name: take_examples(found, shots, f"the dev split of {name}") for name, found in texts.items()}


def _context(question: _Question) -> str:
    options = "".join(f"{letter}. {text}\n" for letter, text in zip(LETTERS, question.choices, strict=True))
    return f"{question.text}\n{options}Answer:"


def _item(file: RowFile, question: _Question, base: int, examples: dict[str, tuple[str, ...]], shots: int) -> TaskItem:
    if shots and question.subject not in examples:
        take_examples([], shots, f"the dev split of {question.subject}")
    answer, context = _answer(file, question, base), _context(question)
    subject = question.subject.replace("_", " ")
    return TaskItem(
        id=f"{question.subject}/{question.number}",
        group=question.subject,
        kind="choice",
        question=question.text,
        answers=(question.choices[answer],),
        options=tuple(Option(context, f" {letter}", letter) for letter in LETTERS),
        answer=answer,
        head=f"The following are multiple choice questions (with answers) about {subject}.\n\n",
        examples=examples.get(question.subject, ()),
    )


def _require_distinct(items: list[TaskItem]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            refuse("benchmark.layout", f"{NAME}: two files have a row {item.id}: subject and row number name an item")
        seen.add(item.id)
