"""The real trainer on made tokens, for measuring what a training costs before there is any data for it.

    build_rehearsal(...)   model, objective, optimizer, batches and loop of a base training, made of the package's parts

Nothing is written: its ledger is silent and it has no hooks. Suffixes: B rows, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from picochat.data.batches import BatchStream
from picochat.data.rows import RowBlock
from picochat.distributed.strategy import Strategy
from picochat.distributed.world import World
from picochat.model import sizing
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.training.config import LoopConfig
from picochat.training.ema import Ema
from picochat.training.language_modeling import LanguageModeling
from picochat.training.ledger import SilentLedger
from picochat.training.objective import Objective
from picochat.training.optim import OptimizerSet
from picochat.training.recipe import resolve_recipe
from picochat.training.state import TrainState
from picochat.training.trainer import LoopParts, Trainer

ROWS = 64
DOCUMENT_TOKENS = 256
"""Made documents are so long, so that a row of the usual lengths holds some of them."""


class MadeRows:
    """Random ids as rows of documents: a training takes as long on them, and as much memory, as on text."""

    def __init__(self, vocab_size: int, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self._table = np.random.default_rng(0).integers(0, vocab_size, (ROWS, row_tokens + 1))
        self._segments = np.arange(row_tokens, dtype=np.int64) // DOCUMENT_TOKENS + 1

    def __len__(self) -> int:
        return ROWS

    def take(self, rows: NDArray[np.int64], epochs: NDArray[np.int64] | None = None) -> RowBlock:
        tokens = self._table[rows]
        spans = np.stack([np.asarray(rows), np.zeros_like(rows), np.full_like(rows, self.row_tokens)], axis=1)
        segments = np.broadcast_to(self._segments, (len(rows), self.row_tokens))
        return RowBlock(tokens[:, :-1], tokens[:, 1:], segments, spans)


@dataclass(frozen=True)
class Setting:
    """On what a rehearsal runs: the group, who holds what, and the context of its forward passes."""

    world: World
    micro_batch_size: int
    micro_batches: int
    strategy: Strategy
    autocast: Callable[[], AbstractContextManager] = nullcontext
    wrap: Callable[[Objective], Objective] = lambda objective: objective
    """Puts something around the objective, such as a counter."""


def build_rehearsal(config: ModelConfig, loop: LoopConfig, setting: Setting) -> Trainer:
    """A trainer in the order in which a stage builds it: model, slices, optimizer, batches, loop."""
    world, strategy = setting.world, setting.strategy
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    if world.device.type != "cpu":  # fake tensors cannot be moved, not even to where they are
        model = model.to(world.device)
    recipe = resolve_recipe(loop, sizing.count_parameters(config).total)
    rows = MadeRows(config.vocab_size, loop.seq_len)
    batches = BatchStream(
        rows,
        lambda samples: samples % ROWS,
        micro_batch_size=setting.micro_batch_size,
        micro_batches=setting.micro_batches,
        rank=world.rank,
        world_size=world.size,
        document_mask=loop.document_mask,
        device=world.device,
    )
    strategy.shard(model, model.blocks)
    optimizer = OptimizerSet(model, recipe.optim)
    model.checkpoint_blocks = loop.checkpoint_blocks
    parts = LoopParts(
        steps=recipe.steps,
        lr_factor=lambda step: 1.0,
        lr=recipe.optim.lr,
        clip=loop.clip,
        ledger=SilentLedger(),
        strategy=strategy,
        ema=Ema(model, loop.ema_decay) if loop.ema_decay else None,
        autocast=setting.autocast,
    )
    objective = setting.wrap(LanguageModeling(loop.z_loss, loop.loss_chunk_tokens))
    return Trainer(model, objective, optimizer, batches, world, parts, [], TrainState())
