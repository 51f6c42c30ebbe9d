"""Configuration of base pretraining."""

from __future__ import annotations

from typing import Literal

from picochat.core.config import Config
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig


class BaseConfig(Config):
    """Next-token prediction on the train side of the corpus."""

    loop: LoopConfig
    text: TextSource = TextSource()
    data_mode: Literal["memory", "sharded", "packed"] = "memory"
    """Where the tokens come from; this version trains from memory."""
