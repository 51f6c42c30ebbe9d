"""Where a stage says how far it is. The command line decides how it looks."""

from __future__ import annotations

from typing import Protocol

from picochat.core.clock import Clock
from picochat.core.units import format_duration


class Progress(Protocol):
    """Told by stages, shown by the console."""

    def stage(self, name: str, title: str) -> None: ...

    def update(self, done: float, total: float, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...


class Pace:
    """How fast work of a known size goes, and when it will end. What an earlier attempt did counts as done."""

    def __init__(self, clock: Clock, total: float, done: float = 0) -> None:
        self._clock, self.total, self.done = clock, total, done
        self._first, self._started = done, clock.monotonic()

    def add(self, amount: float) -> None:
        self.done += amount

    def tell(self, what: str) -> str:
        """`what` with `3.1 MB/s, 40 s left` behind it, once something was done."""
        note = self.note()
        return f"{what}, {note}" if note else what

    def note(self, unit: float = 1e6, name: str = "MB") -> str:
        """`3.1 MB/s, 40 s left`; empty until something was done."""
        elapsed = self._clock.monotonic() - self._started
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        if rate <= 0:
            return ""
        return f"{rate / unit:,.1f} {name}/s, {format_duration(max(0.0, self.total - self.done) / rate)} left"


class SilentProgress:
    """Shows nothing: for tests and for ranks other than 0."""

    def stage(self, name: str, title: str) -> None:
        pass

    def update(self, done: float, total: float, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass
