"""Held-out rows against the rows that are trained on, as rows: equal row, equal prompt, shared template or entity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

from picochat.data.conversations import ChatRow, EvalRow, Message
from picochat.data.duplicates.forms import comparison_form

RowRule = Literal["row", "prompt", "template", "entity"]
ROW_RULES: tuple[RowRule, ...] = ("row", "prompt", "template", "entity")


class RowHit(NamedTuple):
    """A held-out row, by its place, and the first training row that shares something with it; `value` names it."""

    heldout: int
    rule: RowRule
    row: int
    value: str


class TrainRows:
    """What the training rows have, 16 bytes a prompt; the first row that has it is remembered."""

    def __init__(self) -> None:
        self._prompts: dict[bytes, int] = {}
        self._rows: dict[bytes, int] = {}
        self._templates: dict[str, int] = {}
        self._entities: dict[str, int] = {}
        self.n_rows = 0

    def add(self, row: ChatRow) -> None:
        """Takes the next row."""
        number = self.n_rows
        *prompt, answer = row.to_messages()
        form = _form(prompt)
        self._prompts.setdefault(_digest(form), number)
        self._rows.setdefault(_digest(form, comparison_form(answer.content)), number)
        if row.template:
            self._templates.setdefault(row.template, number)
        for entity in row.entities:
            self._entities.setdefault(entity, number)
        self.n_rows += 1

    def compare(self, rows: Sequence[EvalRow]) -> list[RowHit]:
        """All that the held-out rows share with the training rows; a row that is equal counts as one prompt less."""
        found: list[RowHit] = []
        for place, row in enumerate(rows):
            form = _form(row.to_messages())
            answers = [row.answer] if row.answer is not None else row.expected
            equal = self._first(_digest(form, comparison_form(answer)) for answer in answers)
            prompt = self._prompts.get(_digest(form))
            if equal is not None:
                found.append(RowHit(place, "row", equal, ""))
            elif prompt is not None:
                found.append(RowHit(place, "prompt", prompt, ""))
            if row.template in self._templates and row.template:
                found.append(RowHit(place, "template", self._templates[row.template], row.template))
            found += [RowHit(place, "entity", self._entities[e], e) for e in row.entities if e in self._entities]
        return found

    def _first(self, digests: Iterable[bytes]) -> int | None:
        return min((self._rows[digest] for digest in digests if digest in self._rows), default=None)


def _form(messages: Sequence[Message]) -> str:
    """A prompt in the form by which rows are put on their sides."""
    return comparison_form("\n".join(message.content for message in messages))


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).digest()
