"""Trainings of two ranks beside what they must equal, cell by cell, in one launch.

    python -m torch.distributed.run --standalone --nproc_per_node=2 -m tests.support.cells CELLS.json RESULT.json

A cell is a row of settings. DDP must equal one process that accumulates twice as long, FSDP must equal DDP. Both
trainings take the same global steps; compared are the gradients of every step before
clipping, the weights at the end, and the ledgers. `breach` takes one synchronisation away, and must show.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from tests.support.tiny_trainer import build_tiny_trainer, ledger_of
from torch import Tensor

from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import read_launch
from picochat.distributed.fsdp import Fsdp
from picochat.distributed.process_group import open_world
from picochat.distributed.ranks import LaunchedRanks
from picochat.distributed.shards import Gathered, whole
from picochat.distributed.strategy import Ddp, Single
from picochat.distributed.world import SoloWorld, World
from picochat.training.trainer import Trainer

STEPS = 8


class Watched:
    """Keeps the gradients that the optimizer was given, step by step."""

    def __init__(self, trainer: Trainer) -> None:
        self.steps: list[dict[str, Tensor]] = []
        clip = trainer.optimizer.clip

        def keep_and_clip(max_norm: float) -> Tensor:
            named = trainer.model.named_parameters()
            self.steps.append({name: whole(p.grad).detach().clone() for name, p in named if p.grad is not None})
            return clip(max_norm)

        trainer.optimizer.clip = keep_and_clip  # type: ignore[method-assign]


def train(folder: Path, cell: dict[str, Any], world: World, kind: str) -> tuple[Trainer, Watched]:
    """Eight steps of one cell: on all ranks, or alone with the accumulation of all ranks together."""
    accumulation = cell["accumulation"] * (2 if kind == "alone" else 1)
    strategy = {
        "alone": Single,
        "ddp": lambda: Ddp(world.size, static_graph=cell["static_graph"]),
        "fsdp": lambda: Fsdp(world, "fp32"),
    }[kind]()
    trainer, _ = build_tiny_trainer(
        folder / f"rank{world.rank}",
        steps=STEPS,
        micro_batches=accumulation,
        optimizer=cell.get("optimizer", "adamw"),
        world=world,
        strategy=strategy,
        checkpoint_blocks=cell["checkpoint_blocks"],
        compiled=cell["compile"],
    )
    watched = Watched(trainer)
    if cell.get("breach") and kind == cell["strategy"]:
        break_synchronisation(cell["breach"], trainer, world, accumulation)
    trainer.hooks = []
    trainer.fit()
    trainer.loop.ledger.close()
    return trainer, watched


def break_synchronisation(breach: str, trainer: Trainer, world: World, accumulation: int) -> None:
    """Takes one reduction away."""
    if breach == "gradients":
        strategy = trainer.loop.strategy
        whole = strategy.micro_batch
        strategy.micro_batch = lambda last: whole(last=False)  # type: ignore[method-assign]
    elif breach == "last micro-batch":
        # Gradients travel in the first micro-batch of a step; call 0 is the rehearsal.
        strategy, calls = trainer.loop.strategy, iter(range(10**6))
        whole = strategy.micro_batch
        strategy.micro_batch = lambda last: whole(last=next(calls) % accumulation == 1)  # type: ignore[method-assign]
    elif breach == "scale":
        trainer.loop.strategy.gradient_scale = 1
    elif breach in ("targets", "loss"):
        # A step sums its targets, integers, and its loss, a float; the gradient norm is no sum of the world.
        wanted = torch.int64 if breach == "targets" else torch.float32
        whole_sum = world.sum
        trainer.world = _With(world, sum=lambda values: values if values.dtype == wanted else whole_sum(values))
    elif breach == "documents":
        trainer.world = _With(world, gather_bytes=lambda data: [data])
    elif breach == "slices":
        trainer.batches._rank = 0
    else:
        raise ValueError(breach)


class _With:
    """A world with some of its methods replaced."""

    def __init__(self, world: World, **replaced: Any) -> None:
        self.__dict__["_world"] = world
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def compare(cell: dict[str, Any], world: World, folder: Path) -> dict[str, Any]:
    """What rank 0 found of a cell: DDP beside one process, FSDP beside DDP."""
    ours, watched = train(folder / "ours", cell, world, cell["strategy"])
    mine = {name: tensor.detach() for name, tensor in Gathered(dict(ours.model.named_parameters())).items()}
    if cell["strategy"] == "fsdp":
        reference, wanted = train(folder / "theirs", cell, world, "ddp")
    if not world.is_main:
        return {}
    if cell["strategy"] == "ddp":
        reference, wanted = train(folder / "theirs", cell, SoloWorld(), "alone")
    rows, others = ledger_of(folder / "ours" / "rank0"), ledger_of(folder / "theirs" / "rank0")
    steps = list(zip(watched.steps, wanted.steps, strict=True))
    losses = [float.fromhex(a["loss"]) / float.fromhex(b["loss"]) - 1 for a, b in zip(rows, others, strict=True)]
    return {
        "gradients": [largest(a, b) for a, b in steps],
        "shift": max(shift(a, b) for a, b in steps),
        "weights": largest(mine, {name: p.detach() for name, p in reference.model.named_parameters()}),
        "documents": [row["documents"] for row in rows] == [row["documents"] for row in others],
        "targets": [row["targets"] for row in rows] == [row["targets"] for row in others],
        "losses": max(map(abs, losses)),
    }


def largest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference, in units of the tensor's own largest element."""
    assert ours.keys() == theirs.keys()
    return max(float((ours[n] - theirs[n]).abs().max() / theirs[n].abs().max().clamp_min(1e-12)) for n in theirs)


def shift(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The one-sidedness of the differences, 0 to 1: rounding goes both ways, a term that is missing goes one way."""
    residual = torch.cat([(ours[n] - theirs[n]).flatten() for n in sorted(theirs)])
    spread = residual.abs().mean()
    return float(residual.mean().abs() / spread) if spread > 0 else 0.0


def main() -> None:
    cells = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    launch = read_launch()
    with tempfile.TemporaryDirectory() as folder:
        config = DistributedConfig(first_step_timeout_s=120, step_timeout_s=60)
        ranks = LaunchedRanks(Path(sys.argv[2]).parent, launch, config)
        world = open_world(ranks, torch.device("cpu"))
        found = [compare(cell, world, Path(folder) / str(number)) for number, cell in enumerate(cells)]
        world.barrier()
        if world.is_main:
            Path(sys.argv[2]).write_text(json.dumps(found))
        ranks.close()


if __name__ == "__main__":
    main()
