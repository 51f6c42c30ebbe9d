"""One row, one verdict, from what the row holds: what a stage writes and what a judgement computes again.

raw | per_byte | mean_loss    the right option has the highest value of all; a tie fails
greedy                        every predicted token is the wanted one
number                        the number after #### in the reply is the expected one, as an exact fraction
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from picochat.evals.numeric import read_number
from picochat.evals.tasks.base import Score

Row = Mapping[str, Any]
NEXT_QUESTION = "Question:"
_MARKED = re.compile(r"####[ \t]*([^\n]*)")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def is_passed(row: Row, score: Score) -> bool:
    """Whether a row passes; of a choice by `score`, of the other kinds by their own rule."""
    match row["kind"]:
        case "choice" | "schema":
            return wins(option_values(row, score), row["answer"])
        case "cloze":
            return bool(row["wanted"]) and row["predicted"] == row["wanted"]
        case "generate":
            return marked_number(row["reply"]) == required_number(row["expected"])
        case kind:
            raise ValueError(f"row {row['id']} is of kind {kind!r}")


def option_values(row: Row, score: Score) -> list[float]:
    """One value an option, the higher the better; empty when the item did not fit. ValueError for a count that differs.

    From the sums of log-likelihoods alone: bytes are counted again, on the options' texts or on what a schema shares.
    """
    scores = row["scores"]
    if scores is None:
        return []
    if len(scores) != len(row["options"]):
        raise ValueError(f"row {row['id']} has {len(scores)} scores for {len(row['options'])} options")
    texts = row["options"] if row["kind"] == "choice" else [row["continuation"].strip()] * len(scores)
    match score:
        case "raw":
            return [found["raw"] for found in scores]
        case "per_byte":
            return [found["raw"] / len(text.encode()) for text, found in zip(texts, scores, strict=True)]
        case "mean_loss":
            return [found["raw"] / found["tokens"] for found in scores]
        case _:
            raise ValueError(f"row {row['id']} has options, and {score!r} does not compare options")


def wins(values: Sequence[float], right: int) -> bool:
    """Whether `values[right]` is above all others; a tie, no values and a value that is not finite fail."""
    if not values or not all(map(math.isfinite, values)):
        return False
    return all(values[right] > value for place, value in enumerate(values) if place != right)


def is_tie(values: Sequence[float]) -> bool:
    """Whether several options share the highest value."""
    return bool(values) and list(values).count(max(values)) > 1


def marked_number(reply: str) -> Fraction | None:
    """The number after the first #### of a reply, before it goes on with another question."""
    found = _MARKED.search(cut_reply(reply))
    return read_number(found[1]) if found else None


def last_number(reply: str) -> Fraction | None:
    """The last number of a reply, wherever it stands: the lenient reading, shown beside the strict one."""
    found = _NUMBER.findall(cut_reply(reply))
    return Fraction(found[-1].replace(",", "")) if found else None


def cut_reply(reply: str) -> str:
    """A reply up to the next question that the model asks itself."""
    return reply.partition(NEXT_QUESTION)[0]


def required_number(expected: str) -> Fraction:
    """The expected number. ValueError when the text is not one."""
    number = read_number(expected)
    if number is None:
        raise ValueError(f"{expected!r} is not one number")
    return number
