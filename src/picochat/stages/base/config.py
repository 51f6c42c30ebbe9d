"""Configuration of base pretraining."""

from __future__ import annotations

from pydantic import model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.data.shards.config import DataMode
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig


class BaseConfig(Config):
    """Next-token prediction on the train side of the corpus."""

    loop: LoopConfig
    text: TextSource = TextSource()
    data_mode: DataMode = "memory"
    """Where the tokens come from: RAM, windows over shards, or shards of packed rows."""
    branch: str | None = None
    """A checkpoint of a longer base training whose first steps this one shares; None begins at the seeded start."""

    @model_validator(mode="after")
    def _a_branch_keeps_its_last(self) -> BaseConfig:
        if self.branch is not None and self.loop.keep == "best":
            refuse(
                "config.conflict",
                'base.loop.keep is "best", and the best weights so far of the training that base.branch goes on from '
                "are not in its checkpoint",
                fix='set base.loop.keep = "last"',
            )
        return self
