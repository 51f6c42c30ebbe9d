"""Where a stage says how far it is. The command line decides how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by stages, shown by the console."""

    def stage(self, name: str, title: str) -> None: ...

    def update(self, done: float, total: float, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...


class SilentProgress:
    """Shows nothing: for tests and for ranks other than 0."""

    def stage(self, name: str, title: str) -> None:
        pass

    def update(self, done: float, total: float, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass
