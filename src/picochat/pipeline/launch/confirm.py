"""The typed confirmation: a random challenge for one plan and one login, in memory, for five minutes, once.

    issue(plan, login) -> challenge -> a person types the cap -> consume(challenge, plan, login, typed) -> start

A restart of the process voids every challenge. Nothing here starts anything.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import NamedTuple

from picochat.core.clock import Clock
from picochat.core.errors import refuse
from picochat.pipeline.launch.records import LaunchPlan, dollars

LIFETIME_S = 300.0
MAX_OPEN = 256
"""Challenges that may wait at once; the oldest one goes."""


class Challenge(NamedTuple):
    """`value` is 128 bits in hex; it is worthless for another plan, another login, or a second time."""

    value: str
    plan_digest: str
    login: str
    expires_s: float


class Confirmations:
    """Issues and consumes challenges; safe to call from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, Challenge] = {}

    def issue(self, plan: LaunchPlan, login: str) -> Challenge:
        """A new challenge for exactly this plan."""
        expires = self._clock.monotonic() + LIFETIME_S
        challenge = Challenge(secrets.token_hex(16), plan.digest(), login, expires)
        with self._lock:
            while len(self._open) >= MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[challenge.value] = challenge
        return challenge

    def consume(self, value: str, plan: LaunchPlan, login: str, typed_cap: str) -> None:
        """Takes a challenge, whatever comes of it: a wrong answer needs a new one.

        Raises `launch.challenge` when it is unknown, used, expired, or of another plan or login, and `launch.cap`
        when the typed sum is not the plan's cap to the letter.
        """
        with self._lock:
            found = next((c for c in self._open.values() if hmac.compare_digest(c.value, value)), None)
            if found is not None:
                del self._open[found.value]
        if found is None:
            refuse("launch.challenge", "this confirmation is unknown or was used before")
        if self._clock.monotonic() > found.expires_s:
            refuse("launch.challenge", f"this confirmation is older than {LIFETIME_S:.0f} s")
        if not hmac.compare_digest(found.plan_digest, plan.digest()):
            refuse(
                "launch.challenge",
                f"this confirmation is for plan {found.plan_digest[:12]}, the plan is {plan.digest()[:12]}",
            )
        if not hmac.compare_digest(found.login, login):
            refuse("launch.challenge", "this confirmation was given to somebody else")
        require_cap(plan, typed_cap)


def require_cap(plan: LaunchPlan, typed_cap: str) -> None:
    """Raises `launch.cap` unless the text is the plan's cap, to the letter."""
    if dollars(typed_cap) is None or not hmac.compare_digest(typed_cap.encode(), plan.money.cap_usd.encode()):
        refuse("launch.cap", f"{typed_cap[:32]!r} was typed, the plan's cap is {plan.money.cap_usd}")
