"""Configuration of base pretraining."""

from __future__ import annotations

from typing import Literal

from picochat.core.config import Config
from picochat.training.config import LoopConfig


class BaseConfig(Config):
    """Next-token prediction on the train side of the corpus."""

    loop: LoopConfig
    data_mode: Literal["memory", "sharded", "packed"] = "memory"
    """Where the tokens come from; this version trains from memory."""
