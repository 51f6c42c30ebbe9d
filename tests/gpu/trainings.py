"""Trainings of any shape on any device, made of the package's own parts.

Chain          rows that a model can learn
shape(...)     a configuration of the model
SHAPES         the sizes that are measured
build(...)     a trainer, whose steps `Steps` keeps
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picochat.data.batches import BatchStream
from picochat.data.rows import RowBlock
from picochat.distributed.strategy import Single, Strategy
from picochat.distributed.world import World
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.training.config import MachineConfig, OptimConfig
from picochat.training.ema import Ema
from picochat.training.hooks import Hook, StepResult
from picochat.training.language_modeling import LanguageModeling
from picochat.training.ledger import Ledger, SilentLedger
from picochat.training.machine import Machine, build_machine, compile_blocks
from picochat.training.optim import OptimizerSet
from picochat.training.state import TrainState
from picochat.training.trainer import LoopParts, Trainer

SYMBOLS = 32
ROWS = 64
CHUNK_TOKENS = 1024


class Chain:
    """Rows over a few ids of the vocabulary; three of four follow from the id before. Two documents a row."""

    def __init__(self, vocab_size: int, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        rng = np.random.default_rng(0)
        symbols = min(SYMBOLS, vocab_size)
        self._table = rng.integers(0, symbols, (ROWS, row_tokens + 1))
        follows = rng.random(self._table.shape) < 0.75
        for place in range(1, row_tokens + 1):
            after = (self._table[:, place - 1] * 5 + 1) % symbols
            self._table[:, place] = np.where(follows[:, place], after, self._table[:, place])

    def __len__(self) -> int:
        return ROWS

    def take(self, rows: np.ndarray, epochs: np.ndarray | None = None) -> RowBlock:
        tokens, half = self._table[rows], self.row_tokens // 2
        segments = np.ones_like(tokens[:, 1:])
        segments[:, half:] = 2
        spans = np.stack([np.asarray(rows), np.zeros_like(rows), np.full_like(rows, self.row_tokens)], axis=1)
        return RowBlock(tokens[:, :-1], tokens[:, 1:], segments, spans)


class Steps(Hook):
    """What every step gave."""

    def __init__(self) -> None:
        self.results: list[StepResult] = []

    def on_step(self, trainer: Any, result: StepResult) -> None:
        self.results.append(result)

    @property
    def losses(self) -> list[float]:
        return [result.loss for result in self.results]


def shape(dim: int, n_layers: int, n_heads: int, n_kv_heads: int, max_seq_len: int, vocab_size: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab_size,
        dim=dim,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        max_seq_len=max_seq_len,
    )


SMALL = shape(128, 4, 4, 2, 256, 512)
"""Of the tests that compare: rows are longer than those for which a mask is multiplied out."""
SHAPES = {
    "10 M": shape(256, 10, 4, 1, 1024, 8192),
    "35 M": shape(512, 8, 8, 8, 1024, 16_384),
    "110 M": shape(768, 12, 12, 12, 1024, 32_768),
}
"""Of the tests that measure, with about so many parameters."""


def open_machine(device: str, precision: str) -> Machine:
    """The machine as a stage resolves it; one thread on a CPU."""
    return build_machine(MachineConfig(device=device, precision=precision, threads=1 if device == "cpu" else None))


def build(
    world: World,
    config: ModelConfig,
    folder: Path | None = None,
    *,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    strategy: Strategy | None = None,
    steps: int = 8,
    micro_batch_size: int = 4,
    micro_batches: int = 1,
    optimizer: str = "adamw",
    document_mask: bool = False,
    checkpoint_blocks: bool = False,
    compiled: bool = False,
    ema: bool = False,
) -> tuple[Trainer, Steps]:
    """A trainer in the order of a stage; its ledger lies in `folder`, where there is one."""
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    model = model.to(world.device)
    model.checkpoint_blocks = checkpoint_blocks
    strategy = strategy or Single()
    strategy.shard(model, model.blocks)
    optim = OptimizerSet(model, OptimConfig.from_dict({"optimizer": optimizer, "lr": 3e-3}))
    if compiled:
        compile_blocks(model)
    rows = Chain(config.vocab_size, config.max_seq_len)
    stream = BatchStream(
        rows,
        lambda samples: samples % len(rows),
        micro_batch_size=micro_batch_size,
        micro_batches=micro_batches,
        rank=world.rank,
        world_size=world.size,
        document_mask=document_mask,
        device=world.device,
    )
    loop = LoopParts(
        steps=steps,
        lr_factor=lambda step: 1.0,
        lr=3e-3,
        clip=1.0,
        ledger=Ledger(folder / "ledger") if folder and world.is_main else SilentLedger(),
        strategy=strategy,
        ema=Ema(model, 0.9) if ema else None,
        autocast=autocast,
    )
    kept = Steps()
    objective = LanguageModeling(1e-5, CHUNK_TOKENS)
    return Trainer(model, objective, optim, stream, world, loop, [kept], TrainState()), kept


def train(machine: Machine, config: ModelConfig, **chosen: Any) -> list[float]:
    """The losses of a training on one device."""
    trainer, kept = build(machine.world, config, autocast=machine.autocast, **chosen)
    trainer.fit()
    return kept.losses


def largest_ratio(ours: list[float], theirs: list[float]) -> float:
    """The largest deviation of one list of losses from another, as a share."""
    return max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))
