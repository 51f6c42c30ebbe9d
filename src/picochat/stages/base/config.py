"""Configuration of base pretraining."""

from __future__ import annotations

from picochat.core.config import Config
from picochat.data.shards.config import DataMode
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig


class BaseConfig(Config):
    """Next-token prediction on the train side of the corpus."""

    loop: LoopConfig
    text: TextSource = TextSource()
    data_mode: DataMode = "memory"
    """Where the tokens come from: RAM, windows over shards, or shards of packed rows."""
