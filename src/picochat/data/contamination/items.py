"""What is looked for: sets of items, each a question with the answers that count as right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from picochat.data.conversations import ChatRow, EvalRow

SetKind = Literal["eval", "heldout", "benchmark"]


@dataclass(frozen=True)
class Item:
    """One question. Several `answers` are alternatives; there may be none."""

    id: str
    question: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ItemSet:
    """The items of one eval, of the held-out rows or of one benchmark. Boilerplate is judged within a set."""

    name: str
    kind: SetKind
    items: tuple[Item, ...]


def name_items(sets: Iterable[ItemSet]) -> list[tuple[str, str]]:
    """(set, item id) of every item, by the number that an index of these sets gives it."""
    return [(item_set.name, item.id) for item_set in sets for item in item_set.items]


def item_of_row(row: EvalRow) -> Item:
    """An eval row: its prompt without a system message, and the replies that it accepts."""
    question = "\n".join(message.content for message in row.to_messages() if message.role != "system")
    answers = [row.answer] if row.answer is not None else row.expected
    return Item(row.id, question, tuple(answer for answer in answers if answer.strip()))


def build_row_set(name: str, kind: SetKind, rows: Iterable[EvalRow]) -> ItemSet:
    """Eval rows as a set of items."""
    return ItemSet(name, kind, tuple(map(item_of_row, rows)))


def text_of_row(row: ChatRow) -> str:
    """A chat row as one training text: its messages in turn order, a newline between them."""
    return "\n".join(message.content for message in row.to_messages())
