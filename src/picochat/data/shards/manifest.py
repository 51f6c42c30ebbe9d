"""What `shards_manifest.json` says beside the files: one record a shard, and what all of them have in common."""

from __future__ import annotations

from typing import Literal

from picochat.artifacts.schema import Record
from picochat.core.errors import refuse
from picochat.data.shards.layout import DtypeName, ShardRecord

LONG_STEPS = 5_000
LONG_PARAMETERS = 20_000_000


class Exposure(Record):
    """How often a source's text stands in one epoch of the train side."""

    source: str
    weight: float
    documents: int
    """Different documents."""
    unique_tokens: int
    epoch_tokens: int
    """With all copies."""
    budget_tokens: int | None = None
    """What the pack asked for; whole documents are taken, so the two differ a little."""


class ShardsBody(Record):
    """The body of the manifest."""

    dtype: DtypeName
    layout: Literal["stream", "rows"]
    """Of the train side; the held-out side is always a stream of whole documents."""
    row_tokens: int | None = None
    """T of a packed shard, whose rows hold T+1 tokens."""
    packing: Literal["best_fit_crop", "no_crop"] | None = None
    boundary_tokens: bool | None = None
    """Whether every document stands between BOS and EOS. None: the manifest does not say."""
    bos_id: int
    eos_id: int
    pad_id: int
    vocab_size: int
    tokenizer_sha256: str
    corpus_sha256: str
    documents_sha256: str
    train: tuple[ShardRecord, ...]
    val: tuple[ShardRecord, ...]
    exposure: tuple[Exposure, ...]

    def shards(self) -> tuple[ShardRecord, ...]:
        """All shards, train first."""
        return (*self.train, *self.val)


def is_long(steps: int, parameters: int) -> bool:
    """Whether a training is so long, or its model so large, that boundary tokens are mandatory."""
    return steps >= LONG_STEPS or parameters >= LONG_PARAMETERS


def boundary_faults(body: ShardsBody) -> list[str]:
    """What is wrong with the boundary tokens: not said, left out, or another number of them than of documents."""
    if body.boundary_tokens is None:
        return ["the manifest does not say whether documents have boundary tokens"]
    if not body.boundary_tokens:
        return ["documents stand without boundary tokens"]
    whole = body.val if body.packing == "best_fit_crop" else body.shards()
    counted = [(shard, "BOS", shard.bos) for shard in body.shards()] + [(shard, "EOS", shard.eos) for shard in whole]
    return [
        f"{shard.name} has {count:,} {name} tokens and {shard.documents:,} documents"
        for shard, name, count in counted
        if count != shard.documents
    ]


def require_boundaries(body: ShardsBody, steps: int, parameters: int) -> None:
    """Raises `data.boundaries` for a long training on shards whose documents are not marked."""
    faults = boundary_faults(body)
    if faults and is_long(steps, parameters):
        length = f"a training of {steps:,} steps and {parameters:,} parameters"
        refuse("data.boundaries", f"{faults[0]} ({len(faults)} faults), for {length}")
