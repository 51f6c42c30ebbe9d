"""What is true of a check wherever it is judged."""

from __future__ import annotations

from typing import Literal, NamedTuple


class CheckFacts(NamedTuple):
    """What is true of a check under every profile."""

    title: str
    why: str
    fix: str
    unit: str = "fraction"
    direction: Literal[">=", "<=", "==", ""] = ">="
