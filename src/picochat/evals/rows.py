"""What scoring reads and writes: a row seen through one narrow view, a reply, a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class EvalRowLike(Protocol):
    """The attributes of an eval row that scoring needs; the other fields are optional (see `RowView`)."""

    @property
    def id(self) -> str: ...
    @property
    def rule(self) -> str: ...


@dataclass(frozen=True)
class OptionScore:
    """Log-likelihood of one option in nats (a sum, at most 0), and the same divided by the option's UTF-8 bytes."""

    raw: float
    per_byte: float


@dataclass(frozen=True)
class Reply:
    """A generated text, whether it ended by itself, and the scores of the row's options in their order."""

    text: str
    finished: bool = True
    option_scores: Sequence[OptionScore] | None = None


@dataclass(frozen=True)
class Verdict:
    """One row's result. `unsupported` is an answer where "I do not know" was right (rows that are not answerable)."""

    passed: bool
    reason: str
    normalised: str
    echo: bool
    repetition: bool
    unfinished: bool
    unsupported: bool = False


@dataclass(frozen=True)
class RowView:
    """The fields of an eval row that decide its verdict, from a mapping or any object with these attributes."""

    id: str
    rule: str
    prompts: tuple[str, ...]
    expected: tuple[str, ...] = ()
    distractors: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    answer: str | None = None
    max_words: int | None = None
    echo_ok: bool = False
    answerable: bool = True


def view_row(row: Mapping[str, Any] | EvalRowLike) -> RowView:
    """The view of a row. `prompts` holds `user`, or the content of every message."""
    messages = _field(row, "messages") or ()
    user = _field(row, "user")
    prompts = [user] if user else [_field(message, "content") for message in messages]
    return RowView(
        id=str(_field(row, "id") or ""),
        rule=str(_field(row, "rule")),
        prompts=tuple(text for text in prompts if text),
        expected=_texts(row, "expected"),
        distractors=_texts(row, "distractors"),
        forbidden=_texts(row, "forbidden"),
        options=_texts(row, "options"),
        answer=_field(row, "answer"),
        max_words=_field(row, "max_words"),
        echo_ok=bool(_field(row, "echo_ok")),
        answerable=_field(row, "answerable") is not False,
    )


def _field(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)


def _texts(row: Any, name: str) -> tuple[str, ...]:
    return tuple(str(value) for value in _field(row, name) or ())
