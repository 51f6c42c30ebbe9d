"""Two ledgers of the same steps, line by line: equal to the bit, close, or different, and where first. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

CLOSE_FRAC = 0.01
"""Losses may differ by this share of the recorded one and still be called close."""
EXACT_KEYS = ("step", "verdict", "targets", "documents")
"""What no other machine or thread count may change."""
Line = Mapping[str, Any]
Word = Literal["equal", "close", "different"]


class LineDifference(NamedTuple):
    """The first field of a step in which two ledgers differ."""

    step: int
    key: str
    recorded: Any
    replayed: Any


class Comparison(NamedTuple):
    """What became of the compared steps."""

    word: Word
    steps: int
    differing: int
    """Steps with any difference."""
    first: LineDifference | None
    """For `different`, the first one that is not allowed; for `close`, the first one."""
    largest_frac: float | None
    """Largest distance of a loss, as a share of the recorded one; None where a loss is not finite or there is none."""


def compare_ledgers(recorded: Sequence[Line], replayed: Sequence[Line], *, tolerant: bool) -> Comparison:
    """Compares the steps of `recorded` with a replay. Not tolerant: any difference of any field is one."""
    found = {line.get("step"): line for line in replayed}
    allowed: list[LineDifference] = []
    refused: list[LineDifference] = []
    distances: list[float] = []
    for line in recorded:
        mine = found.get(line["step"])
        first, distance = _first_difference(line, mine), _distance(line, mine)
        distances.append(distance)
        if first is not None:
            wrong = _not_close(line, mine, distance) if tolerant else first
            (refused if wrong else allowed).append(wrong or first)
    largest = max(distances, default=math.inf)
    word: Word = "different" if refused or not recorded else "close" if allowed else "equal"
    shown = [*refused, *allowed]
    return Comparison(
        word=word,
        steps=len(recorded),
        differing=len(shown),
        first=shown[0] if shown else None,
        largest_frac=largest if math.isfinite(largest) else None,
    )


def _first_difference(line: Line, mine: Line | None) -> LineDifference | None:
    if mine is None:
        return LineDifference(line["step"], "step", line["step"], None)
    for key in sorted(line.keys() | mine.keys(), key=lambda key: (key not in ("documents", "loss"), key)):
        if line.get(key) != mine.get(key):
            return LineDifference(line["step"], key, line.get(key), mine.get(key))
    return None


def _not_close(line: Line, mine: Line | None, distance: float) -> LineDifference | None:
    """What makes a step another one even with a tolerance: other work, or a loss too far away."""
    if mine is None:
        return LineDifference(line["step"], "step", line["step"], None)
    wrong = [key for key in EXACT_KEYS if line.get(key) != mine.get(key)]
    wrong += ["loss"] if distance > CLOSE_FRAC else []
    return LineDifference(line["step"], wrong[0], line.get(wrong[0]), mine.get(wrong[0])) if wrong else None


def _distance(line: Line, mine: Line | None) -> float:
    """Distance of two losses as a share of the recorded one; infinite when there is none to compare."""
    if mine is None:
        return math.inf
    if line.get("loss") == mine.get("loss"):
        return 0.0
    try:
        before, now = float.fromhex(line["loss"]), float.fromhex(mine["loss"])
    except (KeyError, TypeError, ValueError):
        return math.inf
    distance = abs(before - now) / max(abs(before), 1e-12)
    return distance if math.isfinite(distance) else math.inf
