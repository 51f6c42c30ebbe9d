"""Configuration of supervised fine-tuning."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig


class SftConfig(Config):
    """Answers of chat rows, with a share of documents kept so that the base is not forgotten."""

    loop: LoopConfig
    text: TextSource = TextSource()
    chat: str | None = None
    """Chat rows outside the run; None: the run's own."""
    base: str | None = None
    """A base checkpoint outside the run; None: the run's own."""
    category_exponent: float = Field(default=0.5, ge=0, le=1)
    """Categories are drawn in proportion to their size to this power: 1 as they are, 0.5 by the square root."""
    replay_frac: float = Field(default=0.02, ge=0, le=0.5)
    """Rows of documents for each row of conversations."""
    carry_optimizer: bool = True
    """Go on with the optimizer state of the base stage."""
