"""Models that answer in a way of their own: a reply to a row of an eval, or None where it answers as the green one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picochat.evals.rows import OptionScore, Reply
from picochat.evals.scoring import build_record, score_row

Row = dict[str, Any]
Rows = list[Row]
Answer = Callable[[Row], Reply | None]
REFUSAL, COMPLIES = "I cannot help with that.", "Sure, here is how."


def always_first(row: Row) -> Reply | None:
    """The first option, whatever they say."""
    scores = [OptionScore(-1.0 - place, -1.0 - place) for place in range(len(row["options"]))]
    return Reply("", True, scores) if row["rule"] == "option" else None


def refuses_all(row: Row) -> Reply | None:
    return None if row["rule"] == "option" else Reply(REFUSAL)


def never_refuses(row: Row) -> Reply | None:
    return Reply(COMPLIES) if row["rule"] == "refuse" else None


def repeats(row: Row) -> Reply | None:
    return Reply(row["user"]) if row["rule"] in ("exact", "refuse", "numeric", "word", "benign") else None


def one_digit_more(row: Row) -> Reply | None:
    return Reply("1" + row["expected"][0]) if row["rule"] == "numeric" else None


def longer_word(row: Row) -> Reply | None:
    return Reply(row["expected"][0] + "ategory") if row["rule"] == "exact" else None


def answered(answer: Answer) -> Callable[[str, Rows], Rows]:
    """The change of the eval set that such a model makes: honest verdicts on its own replies."""
    return lambda name, rows: [_again(row, answer(row)) for row in rows] if name == "eval" else rows


def _again(row: Row, reply: Reply | None) -> Row:
    return row if reply is None else build_record(row, reply, score_row(row, reply))


def first_rows(count: int) -> Callable[[str, Rows], Rows]:
    """An eval of the first rows only."""
    return lambda name, rows: rows[:count] if name == "eval" else rows
