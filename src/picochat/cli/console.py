"""What people see: tables, progress and verdicts. A bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from picochat.core.redact import redact

PLAIN_EVERY_S = 15.0


def build_console(stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and is wide enough for logs when the output is no terminal."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=160, soft_wrap=True)
    return console


def print_json(document: Any) -> None:
    """The one document of --json."""
    sys.stdout.write(redact(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)) + "\n")


def print_table(title: str, columns: list[str], rows: list[list[str]], styles: list[str] | None = None) -> None:
    """A table; `styles` colours whole rows."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*(redact(cell).replace("[", r"\[") for cell in row), style=styles[number] if styles else None)
    build_console().print(table)


class ConsoleProgress:
    """Shows the stages of a run as they pass."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = build_console(stderr=True)
        self._quiet = quiet
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._last_plain = 0.0
        self._stage = ""
        self._stage_started = time.monotonic()

    def __enter__(self) -> ConsoleProgress:
        if self._console.is_terminal and not self._quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
            )
            self._bar = RichProgress(*columns, console=self._console, transient=True)
            self._bar.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._finish_stage("ended early after" if kind else "done in")
        if self._bar:
            self._bar.stop()

    def stage(self, name: str, title: str) -> None:
        self._finish_stage()
        self._stage, self._stage_started = name, time.monotonic()
        self.say(f"{name}: {title}")
        if self._bar:
            self._task = self._bar.add_task(f"  {name}", total=None, note="")

    def update(self, done: float, total: float, note: str = "") -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif not self._quiet and (time.monotonic() - self._last_plain > PLAIN_EVERY_S):
            self._last_plain = time.monotonic()
            self._console.print(f"  {self._stage} {done / max(1, total):4.0%} {note}", markup=False)

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(redact(text), markup=False)

    def _finish_stage(self, how: str = "done in") -> None:
        if self._bar and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        if self._stage:
            self.say(f"  {self._stage} {how} {time.monotonic() - self._stage_started:.1f} s")
            self._stage = ""
