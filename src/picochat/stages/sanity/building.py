"""The real trainer for a few steps, as the proofs need it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint.rng import seed_rng
from picochat.core.fs import make_dir
from picochat.data.batches import BatchStream
from picochat.data.order import SampleOrder
from picochat.data.rows import RowSource
from picochat.model import sizing
from picochat.model.transformer import Transformer
from picochat.stages.sanity.material import Material
from picochat.training.config import OptimConfig
from picochat.training.ema import Ema
from picochat.training.hooks import StepResult
from picochat.training.keeper import rng_digest
from picochat.training.ledger import Ledger
from picochat.training.machine import Machine
from picochat.training.objective import Objective
from picochat.training.optim import OptimizerSet
from picochat.training.recipe import resolve_recipe
from picochat.training.schedule import lr_factor
from picochat.training.state import TrainState
from picochat.training.trainer import LoopParts, Trainer

EMA_DECAY = 0.99
WARMUP_STEPS = 2
Autocast = Callable[[], AbstractContextManager]
Order = Callable[[NDArray[np.int64]], NDArray[np.int64]]


@dataclass(frozen=True)
class Workplace:
    """What every proof is handed: the material, the machine, and a folder that is removed at the end."""

    material: Material
    machine: Machine
    folder: Path


class GradientProbe(OptimizerSet):
    """Keeps the gradients of a step as they are before clipping, and updates nothing."""

    def __init__(self, model: Transformer, config: OptimConfig) -> None:
        super().__init__(model, config)
        self._model = model
        self.gradients: dict[str, Tensor] = {}

    def clip(self, max_norm: float) -> Tensor:
        named = self._model.named_parameters()
        self.gradients = {name: p.grad.detach().clone() for name, p in named if p.grad is not None}
        return super().clip(max_norm)

    def step(self, factor: float) -> None:
        pass


def build_trainer(place: Workplace, objective: Objective, *, folder: Path, model: Transformer) -> Trainer:
    """A trainer over the windows of documents, with an EMA, in two micro-batches a step; its ledger is in `folder`."""
    config, machine = place.material.config, place.machine
    seed_rng(config.seed)
    recipe = resolve_recipe(config.loop, sizing.count_parameters(config.model).total)
    make_dir(folder)
    loop = LoopParts(
        steps=config.steps,
        lr_factor=lambda step: lr_factor(step, config.steps, WARMUP_STEPS, config.loop.schedule, 0.1),
        lr=recipe.optim.lr,
        clip=config.loop.clip,
        ledger=Ledger(folder / layout.LEDGER),
        ema=Ema(model, config.loop.ema_decay or EMA_DECAY),
        autocast=machine.autocast,
        rng_digest=rng_digest,
    )
    rows = place.material.windows()
    order = SampleOrder(max(1, len(rows)), config.seed).samples_at
    batches = build_stream(place, rows, order, micro_batches=2, micro_batch_size=config.rows // 2)
    optimizer = OptimizerSet(model, recipe.optim)
    return Trainer(model, objective, optimizer, batches, machine.world, loop, [], TrainState())


def build_stream(
    place: Workplace, rows: RowSource, order: Order, *, micro_batches: int, micro_batch_size: int
) -> BatchStream:
    """The batches that the trainer would draw from `rows`."""
    return BatchStream(
        rows,
        order,
        micro_batch_size=micro_batch_size,
        micro_batches=micro_batches,
        document_mask=place.material.config.loop.document_mask,
        device=place.machine.world.device,
    )


def measure_step(
    place: Workplace, objective: Objective, batches: BatchStream, autocast: Autocast, name: str
) -> tuple[StepResult, dict[str, Tensor]]:
    """One step of the real loop from the start weights: what it reports, and its gradients. No weight moves."""
    model = place.material.build_model(place.machine.world.device)
    recipe = resolve_recipe(place.material.config.loop, sizing.count_parameters(model.config).total)
    probe = GradientProbe(model, recipe.optim)
    make_dir(place.folder / name)
    ledger = Ledger(place.folder / name / layout.LEDGER)
    loop = LoopParts(steps=1, lr_factor=lambda step: 1.0, lr=0.0, clip=1.0, ledger=ledger, autocast=autocast)
    trainer = Trainer(model, objective, probe, batches, place.machine.world, loop, [], TrainState())
    try:
        return trainer.train_step(), probe.gradients
    finally:
        ledger.close()
