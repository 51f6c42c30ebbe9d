"""Separation of what SFT was trained on from what it is judged on, read from the finished rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.data.conversations import ConversationRow, EvalRow, PairRow, read_chat_rows, read_eval_rows
from picochat.data.skills.disjoint import check_entities
from picochat.judgement.rules.case import Case, Outcome, count_faults, not_run

SFT_FILE = (layout.CHAT_TRAIN, "")
GENERATED = "skills."
"""What the source of a generated row begins with."""


def judge_disjoint(case: Case) -> Outcome:
    """SFT rows that hold an entity, a template or the very prompt of a held-out or an eval row."""
    store = case.evidence.store
    try:
        train = read_chat_rows(store.path(layout.CHAT_TRAIN))
        held = [row for name in (layout.CHAT_HELDOUT, layout.CHAT_EVAL) for row in _read_held(store.path(name))]
    except PicochatError:
        return not_run(SFT_FILE, n=0)
    faults = [*_shared_wordings(train, held), *_shared_entities(train, held)]
    return count_faults(faults, SFT_FILE, n=len(train))


def _read_held(path: Path) -> list[EvalRow]:
    return read_eval_rows(path) if path.stat().st_size else []


def _shared_wordings(train: Iterable[PairRow | ConversationRow], held: list[EvalRow]) -> Iterator[str]:
    """Templates and prompts that stand on both sides; a template belongs to its category."""
    templates = {(row.category, row.template) for row in held if row.template}
    prompts = {tuple(message.content for message in row.to_messages()) for row in held}
    for row in train:
        messages = row.to_messages()
        if (row.category, row.template) in templates or tuple(m.content for m in messages[:-1]) in prompts:
            yield messages[0].content


def _shared_entities(train: Iterable[PairRow | ConversationRow], held: list[EvalRow]) -> Iterator[str]:
    """Entities of generated rows in rows of the same skills, whoever wrote those: elsewhere a word is just a word."""
    generated = [row for row in held if (row.source or "").startswith(GENERATED)]
    skills = {row.category for row in generated}
    asked = [row.to_messages() for row in train if row.category in skills]
    for violation in check_entities(((messages[0].content, messages[-1].content) for messages in asked), generated):
        yield violation.text
