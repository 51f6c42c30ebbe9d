"""Configuration of the harness stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from picochat.core.config import Config

TaskName = Literal["blimp", "arc", "text"]
NEEDS_DATA: tuple[TaskName, ...] = ("blimp", "arc")
"""Tasks whose rows come from files; `text` has the held-out documents of the run where none are given."""


class HarnessConfig(Config):
    """What lm-eval and our own scorer are both asked."""

    task: TaskName
    data: str | None = Field(default=None, min_length=1)
    """A file, or a folder of files, with the task's rows; nothing is downloaded."""
    limit: int | None = Field(default=None, gt=0)
    """Items of each file that are scored, from its beginning; None: all, and 100 of the held-out documents."""
