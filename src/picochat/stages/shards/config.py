"""Configuration of the stage that writes shards. Torch-free."""

from __future__ import annotations

from pydantic import model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.data.shards.config import DataMode, ShardSettings
from picochat.stages.text_source import TextSource


class ShardsConfig(Config):
    """What base.* and shards.* say about the shards, in one place: made by the run's configuration, never by hand."""

    settings: ShardSettings = ShardSettings()
    data_mode: DataMode
    row_tokens: int
    """T of a packed row."""
    text: TextSource = TextSource()

    @model_validator(mode="after")
    def _packed_rows_are_marked(self) -> ShardsConfig:
        if self.data_mode == "packed" and not self.settings.boundary_tokens:
            refuse(
                "config.conflict",
                "base.data_mode is packed and shards.boundary_tokens is false: every packed row begins with a document",
                fix='set shards.boundary_tokens = true, or base.data_mode = "sharded"',
            )
        return self
