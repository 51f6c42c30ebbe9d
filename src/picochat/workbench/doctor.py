"""What `picochat doctor` says of this machine. It needs torch, so a process of its own is asked, and not each time."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple

from picochat.core.clock import Clock
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.core.subprocesses import run_quiet

ARGV = (sys.executable, "-m", "picochat.cli", "doctor", "--json")
LONGEST_S = 120.0
KEPT_S = 300.0
"""Devices and versions change when somebody installs something."""


class Said(NamedTuple):
    """`facts` and `advice` as the command prints them; both None when it could not say."""

    facts: dict[str, Any] | None
    advice: list[dict[str, str]] | None
    age_s: float


class Doctor:
    """Keeps the newest answer. Whoever asks while another waits for the command gets the same one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {}
        self._asked_at: float | None = None

    def ask(self, *, again: bool = False) -> Said:
        """The newest answer, or a new one: `again` takes none that was begun before now."""
        now = self._clock.monotonic()
        with self._lock:
            if self._asked_at is None or self._asked_at < (now if again else now - KEPT_S):
                self._asked_at = self._clock.monotonic()
                self._document = ask_doctor()
            age_s = self._clock.monotonic() - self._asked_at
            return Said(self._document.get("facts"), self._document.get("advice"), age_s)


def ask_doctor() -> dict[str, Any]:
    """The document of the command; empty when there was none."""
    text = run_quiet(ARGV, timeout_s=LONGEST_S)
    try:
        found = parse_json(text.encode(), "picochat doctor") if text else None
    except PicochatError:
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("facts"), dict):
        return {}
    return found if isinstance(found.get("advice"), list) else {}
