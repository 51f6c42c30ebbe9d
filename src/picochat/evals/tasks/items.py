"""The task types that benchmarks are made of. A layout turns its files into items; it knows nothing of models.

    choice      one context, several continuations: which is the likeliest?
    schema      several contexts, one continuation: after which is it the likeliest?
    cloze       one context, one continuation: is every token of it the likeliest?
    generate    one context: what does the model write?

The whole text of an option is head + examples + context + continuation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from picochat.evals.tasks.base import BenchmarkFile

Kind = Literal["choice", "schema", "cloze", "generate"]
Span = Literal["context", "options", "suffix"]


class Option(NamedTuple):
    """What is put to the model, and the text that stands for the option: its bytes are those of `per byte`."""

    context: str
    continuation: str
    text: str


@dataclass(frozen=True)
class TaskItem:
    """One question. `question` and `answers` are its plain texts, for comparisons with training text."""

    id: str
    group: str
    kind: Kind
    question: str
    answers: tuple[str, ...]
    options: tuple[Option, ...]
    answer: int = 0
    """Index of the right option."""
    expected: str = ""
    """What a generated reply must say."""
    head: str = ""
    examples: tuple[str, ...] = ()
    """Few-shot examples as they are put before the context, each with what parts it from the next."""
    span: Span = "context"
    """Where the scored tokens begin: where the ids differ from those of the context, or where those of the options
    differ from each other; `suffix`: the tokens at the end that all options share."""


@dataclass(frozen=True)
class TaskData:
    """The items of a benchmark in file order, the record of every file, and what a reader of the score must know."""

    items: tuple[TaskItem, ...]
    files: tuple[BenchmarkFile, ...]
    notes: tuple[str, ...] = ()
