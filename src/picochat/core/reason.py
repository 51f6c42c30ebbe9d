"""What stands beside a reason code."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """The exit code, why it matters, and what mends it."""

    exit_code: int
    why: str
    fix: str
