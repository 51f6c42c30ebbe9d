"""Configuration of the benchmark stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from picochat.core.config import Config


class BenchmarkConfig(Config):
    """Which published benchmark is run, and where its files lie."""

    name: Literal["blimp"] = "blimp"
    data: str = Field(min_length=1)
    """Folder with the benchmark's files as published; nothing is downloaded."""
    limit: int | None = Field(default=None, gt=0)
    """Items of each file that are scored, from its beginning; None: all. A limited score is marked as partial."""
