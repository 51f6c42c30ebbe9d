"""Configuration of the proofs: the shape, loop and machine of the job that is to come, and how much is tried."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config
from picochat.model.config import ModelConfig
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig, MachineConfig


class SanityConfig(Config):
    """A few steps and rows of the real shape; the rest of the loop is taken as it stands."""

    model: ModelConfig
    loop: LoopConfig
    machine: MachineConfig
    seed: int = Field(default=1, ge=0)
    steps: int = Field(default=4, ge=4)
    """Steps of an uninterrupted training; the checkpoint is made after half of them."""
    rows: int = Field(default=8, ge=2, multiple_of=2)
    """Rows of a step, in two micro-batches."""
    run: str | None = None
    """A run whose tokenizer, rows and base weights are used; None: made text and fresh weights."""
    text: TextSource = TextSource()
    """Where the run has its text from."""
    chat: str | None = None
    """Chat rows outside of the run; None: the run's own."""
