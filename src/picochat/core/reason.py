"""What a reason code stands for."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    exit_code: int
    why: str
    fix: str
