"""How tokens are laid out on disk."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from picochat.core.config import Config

DataMode = Literal["memory", "sharded", "packed"]


class ShardSettings(Config):
    """Settings of the shards; whether there are any is decided by base.data_mode."""

    shard_bytes: int = Field(default=400_000_000, ge=1)
    """Text that goes into one shard, about 100 M tokens; a shard is also what a restart does again."""
    packing: Literal["best_fit_crop", "no_crop"] = "best_fit_crop"
    """In mode packed: full rows at the price of cropped documents, or every token at that of a little padding."""
    boundary_tokens: bool = True
    """BOS and EOS around each document; a long training refuses shards without them."""
