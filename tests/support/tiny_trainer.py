"""The real loop over a model of a few thousand parameters, and objectives that spoil it at chosen micro-batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from picochat.core.clock import ManualClock
from picochat.core.jsonio import iter_jsonl
from picochat.data.batches import Batch, BatchStream
from picochat.data.rows import IGNORE, RowBlock
from picochat.distributed.strategy import Single, Strategy
from picochat.distributed.world import SoloWorld, World
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.training.config import OptimConfig
from picochat.training.ema import Ema
from picochat.training.hooks import Hook
from picochat.training.keeper import state_digest
from picochat.training.language_modeling import LanguageModeling
from picochat.training.ledger import Ledger, SilentLedger
from picochat.training.machine import compile_blocks
from picochat.training.objective import LossOutput
from picochat.training.optim import OptimizerSet
from picochat.training.state import TrainState
from picochat.training.trainer import LoopParts, Trainer

ROW_TOKENS = 16


class Rows:
    """Rows of seeded tokens; every third target is masked."""

    row_tokens = ROW_TOKENS

    def __init__(self, n: int = 64) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def take(self, rows: np.ndarray, epochs: np.ndarray | None = None) -> RowBlock:
        tokens = np.stack([np.random.default_rng(int(row)).integers(0, 32, ROW_TOKENS + 1) for row in rows])
        targets = tokens[:, 1:].copy()
        for place, row in enumerate(rows):
            targets[place, int(row) % 5 :: 3] = IGNORE
        spans = np.stack([np.asarray(rows), np.zeros_like(rows), np.full_like(rows, ROW_TOKENS)], axis=1)
        return RowBlock(tokens[:, :-1], targets, np.ones_like(targets), spans)


class Poisoned:
    """Language modelling that is spoilt at chosen calls, counted from 1; `done` calls were made before.

    loss, inf     the loss and with it every gradient is NaN, or infinite
    spike         the loss is a million times too large, and finite
    gradient      the loss is as it should be, every gradient is NaN
    element       one element of one gradient is NaN
    norm          every gradient is finite, their norm is not
    """

    name = "poisoned"

    def __init__(self, calls: set[int], kind: str = "loss", done: int = 0) -> None:
        self._inner, self._calls, self._kind = LanguageModeling(0.0, 64), calls, kind
        self._count = done

    def __call__(self, model: torch.nn.Module, batch: Batch) -> LossOutput:
        self._count += 1
        found = self._inner(model, batch)
        if self._count not in self._calls:
            return found
        if self._kind in ("element", "norm"):
            spoil_parameter(next(model.parameters()), spoil_element if self._kind == "element" else fill_huge)
            return found
        factor = {"loss": float("nan"), "inf": float("inf"), "spike": 1e6}.get(self._kind, 1.0)
        total = poison_gradient(found.total_sum) if self._kind == "gradient" else found.total_sum * factor
        return found._replace(loss_sum=found.loss_sum * factor, total_sum=total)


def poison_gradient(value: Tensor) -> Tensor:
    """The same value with a gradient that is no number."""
    value.register_hook(lambda gradient: gradient * float("nan"))
    return value * 1.0


def spoil_parameter(parameter: Tensor, spoil: Callable[[Tensor], Tensor]) -> None:
    """Changes the next gradient that reaches the parameter, and no later one."""

    def once(gradient: Tensor) -> Tensor:
        handle.remove()
        return spoil(gradient)

    handle = parameter.register_hook(once)


def spoil_element(gradient: Tensor) -> Tensor:
    spoilt = gradient.clone()
    spoilt.view(-1)[-1] = float("nan")
    return spoilt


def fill_huge(gradient: Tensor) -> Tensor:
    """Finite in every element; the sum of squares is beyond float32."""
    return torch.full_like(gradient, 1e38)


class Recorder(Hook):
    """The digest of weights, optimizer and EMA after each step, and what was skipped and stopped."""

    def __init__(self) -> None:
        self.digests: list[str] = []
        self.skipped: list[int] = []
        self.stopped: list[str] = []

    def on_step(self, trainer, result) -> None:
        self.digests.append(state_digest(trainer))

    def on_skip(self, trainer, result) -> None:
        self.skipped.append(result.step)

    def on_stop(self, trainer, reason) -> None:
        self.stopped.append(reason)


def build_tiny_trainer(
    folder: Path,
    objective=None,
    *,
    steps: int = 8,
    micro_batches: int = 2,
    micro_batch_size: int = 2,
    optimizer: str = "muon",
    lr_factor: Callable[[int], float] = lambda step: 1.0,
    world: World | None = None,
    strategy: Strategy | None = None,
    checkpoint_blocks: bool = False,
    compiled: bool = False,
) -> tuple[Trainer, Recorder]:
    """A trainer whose ledger is `folder/ledger`; the caller closes it. `micro_batches` are those of one rank."""
    world = world or SoloWorld("cpu")
    config = ModelConfig(vocab_size=32, dim=16, n_layers=2, n_heads=2, n_kv_heads=1, max_seq_len=ROW_TOKENS)
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    model.checkpoint_blocks = checkpoint_blocks
    strategy = strategy or Single()
    strategy.shard(model, model.blocks)
    if compiled:  # in the order of a stage, which learns from its checkpoint whether to compile
        compile_blocks(model)
    stream = BatchStream(
        Rows(),
        lambda samples: samples % 64,
        micro_batch_size=micro_batch_size,
        micro_batches=micro_batches,
        rank=world.rank,
        world_size=world.size,
    )
    folder.mkdir(parents=True, exist_ok=True)
    loop = LoopParts(
        steps=steps,
        lr_factor=lr_factor,
        lr=1e-2,
        clip=1.0,
        ledger=Ledger(folder / "ledger") if world.is_main else SilentLedger(),
        strategy=strategy,
        ema=Ema(model, 0.9),
        clock=ManualClock(),
    )
    optim = OptimizerSet(model, OptimConfig.from_dict({"optimizer": optimizer, "lr": 1e-2}))
    recorder = Recorder()
    trainer = Trainer(
        model,
        objective or LanguageModeling(0.0, 64),
        optim,
        stream,
        world,
        loop,
        [recorder],
        TrainState(),
    )
    return trainer, recorder


def ledger_of(folder: Path) -> list[dict]:
    """The lines as they were written."""
    return list(iter_jsonl(folder / "ledger"))
