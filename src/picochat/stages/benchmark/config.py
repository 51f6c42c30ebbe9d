"""Configuration of the benchmark stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from picochat.core.config import Config

Name = Literal[
    "blimp", "arc_easy", "arc_challenge", "mmlu", "hellaswag", "piqa", "winogrande", "lambada", "gsm8k", "core"
]


class BenchmarkConfig(Config):
    """Which published benchmark is run, and where its files lie."""

    name: Name = "blimp"
    data: str = Field(min_length=1)
    """Folder with the benchmark's files as published, or the one file; nothing is downloaded."""
    limit: int | None = Field(default=None, gt=0)
    """Items of each paradigm, subject or task that are scored; None: all. A limited score is marked as partial."""
    shots: int | None = Field(default=None, ge=0)
    """Examples before each item; None: as many as the table says. Another number is another setup, and warns."""
    answer_base: Literal[0, 1] | None = None
    """MMLU with integers as answers: which of them is the first option. None: 0, and refused where it looks like 1."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Tokens of a generated answer at most."""
    batch_size: int = Field(default=32, ge=1)
    """Answers that are generated together; it decides speed and memory only."""
    against: list[str] = []
    """Models whose published results this score is to be held against; refused where none is known."""
