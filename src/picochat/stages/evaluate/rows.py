"""The questions of the three sets: all eval rows, a fixed sample of held-out rows, a fixed sample of training rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from picochat.data.conversations import ConversationRow, EvalRow, EvalRule, PairRow, read_chat_rows, read_eval_rows
from picochat.evals.numeric import read_number
from picochat.evals.refusal import is_refusal


def read_questions(path: Path) -> list[EvalRow]:
    """The rows of an eval file; none when the file is there and empty. Raises `eval.row` or `usage.path`."""
    if path.is_file() and path.stat().st_size == 0:
        return []
    return read_eval_rows(path)


def read_training_questions(path: Path) -> list[EvalRow]:
    """The rows of a chat file as questions, whose right answer is the one that was trained. Raises `chat.row`."""
    return [as_question(row, number) for number, row in enumerate(read_chat_rows(path), 1)]


def as_question(row: PairRow | ConversationRow, number: int) -> EvalRow:
    """The prompt before a row's last answer to a user, with a rule that its category and the answer decide.

    A refusing answer must be refused, any other of that category answered with the same words; an arithmetic answer
    counts by its number; every other one word for word. `number` names a row without an id.
    """
    messages = row.to_messages()
    place = max(
        i for i, message in enumerate(messages) if message.role == "assistant" and messages[i - 1].role == "user"
    )
    prompt, answer = messages[:place], messages[place].content
    rule = choose_rule(row.category, answer)
    return EvalRow(
        id=row.id or f"train-{number:06d}",
        user=prompt[0].content if len(prompt) == 1 else None,
        messages=prompt if len(prompt) > 1 else None,
        rule=rule,
        expected=[] if rule == "refuse" else [answer],
        max_words=max(30, 2 * len(answer.split())),
        category=row.category,
        template=row.template,
        entities=row.entities,
        source=row.source,
    )


def choose_rule(category: str, answer: str) -> EvalRule:
    """`refuse`, `benign`, `numeric` or `exact`."""
    if category == "refusal":
        return "refuse" if is_refusal(answer) else "benign"
    if category == "arithmetic" and read_number(answer) is not None:
        return "numeric"
    return "exact"


def sample_rows(rows: Iterable[EvalRow], per_category: int) -> list[EvalRow]:
    """At most `per_category` rows of each category: those whose ids have the smallest sha256, in the file's order.

    The sample depends on ids alone, so rows that are added or moved elsewhere change nothing.
    """
    by_category: dict[str, list[EvalRow]] = defaultdict(list)
    kept = list(rows)
    for row in kept:
        by_category[row.category].append(row)
    chosen = {row.id for group in by_category.values() for row in sorted(group, key=_id_digest)[:per_category]}
    return [row for row in kept if row.id in chosen]


def _id_digest(row: EvalRow) -> str:
    return hashlib.sha256(row.id.encode()).hexdigest()
