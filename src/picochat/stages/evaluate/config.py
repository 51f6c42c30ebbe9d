"""Configuration of the evaluate stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from picochat.core.config import Config

SetName = Literal["eval", "fit", "heldout"]


class EvaluateConfig(Config):
    """Which rows are answered, and how. Answers are greedy."""

    batch_size: int = Field(default=256, gt=0)
    """Replies that are made together; decides speed and memory, never a verdict."""
    max_new_tokens: int = Field(default=72, gt=0)
    """Longest reply in tokens; one that has not ended by then is unfinished."""
    fit_rows_per_category: int = Field(default=100, gt=0)
    """Rows of the training set that are asked again, a category: a fixed sample."""
    heldout_rows_per_category: int = Field(default=100, gt=0)
    """Held-out rows of the same families, a category: a fixed sample."""
    sets: list[SetName] = Field(default=["eval", "fit", "heldout"], min_length=1)
    """The sets that are answered; what is left out is missing to the gate."""
