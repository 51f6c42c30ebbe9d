"""The loss guard: one bad step costs one step, and no bit of the model.

The verdict falls after backward and reduction and before the optimizer, from global numbers, so that ranks cannot part.
A rejected value never enters the window that later values are judged by.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

WINDOW = 128
KNOWN_BEFORE_JUDGING = 32
SIGMAS = 6.0
REJECTS_IN_A_ROW = 5
RECENT = 1000
RECENT_REJECT_FRAC = 0.01


class LossGuard:
    """Judges each step by its global loss and gradient norm."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._in_a_row = 0
        self.rejected = 0

    def accepts(self, loss: float, grad_norm: float) -> bool:
        """True when both numbers are finite and no spike against the accepted ones. Updates the history."""
        ok = _plausible(loss, self._losses) and _plausible(grad_norm, self._norms)
        self._recent.append(0 if ok else 1)
        if ok:
            self._losses.append(loss)
            self._norms.append(grad_norm)
            self._in_a_row = 0
        else:
            self._in_a_row += 1
            self.rejected += 1
        return ok

    def exhausted(self) -> str | None:
        """Why training must stop, or None: too many rejects in a row or lately."""
        if self._in_a_row >= REJECTS_IN_A_ROW:
            return f"{self._in_a_row} steps in a row were rejected (limit {REJECTS_IN_A_ROW})"
        share = sum(self._recent) / RECENT
        if len(self._recent) == RECENT and share > RECENT_REJECT_FRAC:
            return f"{share:.1%} of the last {RECENT} steps were rejected (limit {RECENT_REJECT_FRAC:.0%})"
        return None

    def state_dict(self) -> dict[str, Any]:
        """JSON-safe; floats as hex so that a resumed guard decides the same to the bit."""
        return {
            "losses": [value.hex() for value in self._losses],
            "norms": [value.hex() for value in self._norms],
            "recent": list(self._recent),
            "in_a_row": self._in_a_row,
            "rejected": self.rejected,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._losses = deque(map(float.fromhex, state["losses"]), WINDOW)
        self._norms = deque(map(float.fromhex, state["norms"]), WINDOW)
        self._recent = deque(state["recent"], RECENT)
        self._in_a_row = state["in_a_row"]
        self.rejected = state["rejected"]


def _plausible(value: float, accepted: deque[float]) -> bool:
    if not math.isfinite(value):
        return False
    if len(accepted) < KNOWN_BEFORE_JUDGING:
        return True
    mean = math.fsum(accepted) / len(accepted)
    sigma = math.sqrt(math.fsum((x - mean) ** 2 for x in accepted) / len(accepted))
    return value <= mean + SIGMAS * sigma
