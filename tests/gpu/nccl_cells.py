"""Trainings of all ranks beside what they must equal, cell by cell, in one launch, on GPUs over NCCL.

    python -m torch.distributed.run --standalone --nproc_per_node=N -m tests.gpu.nccl_cells WORK.json RESULT.json

DDP must equal one process that accumulates as often as all ranks together, FSDP must equal DDP. What is compared, and
how, is as in tests/support/cells.py. With the device cpu the ranks talk over gloo, which checks this program.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.gpu.trainings import SMALL, Steps, build
from tests.support.cells import Watched, largest, shift
from torch import Tensor

from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import read_launch
from picochat.distributed.fsdp import Fsdp
from picochat.distributed.ranks import LaunchedRanks
from picochat.distributed.shards import Gathered
from picochat.distributed.strategy import Ddp, Single
from picochat.distributed.world import SoloWorld
from picochat.training.config import MachineConfig
from picochat.training.machine import Machine, build_machine

STEPS = 8
KEPT_STEPS = 4
"""Whose gradients are compared."""


def train(cell: dict[str, Any], machine: Machine, kind: str) -> tuple[dict[str, Tensor], Watched, Steps]:
    """Eight steps of one cell: on all ranks, or alone with the accumulation of all ranks together."""
    alone, size = kind == "alone", machine.world.size
    strategy = {"alone": Single, "ddp": lambda: Ddp(size), "fsdp": lambda: Fsdp(machine.world, machine.precision)}
    trainer, steps = build(
        SoloWorld(machine.world.device) if alone else machine.world,
        SMALL,
        autocast=machine.autocast,
        strategy=strategy[kind](),
        steps=STEPS,
        micro_batch_size=2,
        micro_batches=cell["accumulation"] * (size if alone else 1),
        optimizer=cell["optimizer"],
        document_mask=True,
        checkpoint_blocks=cell["checkpoint_blocks"],
        compiled=cell["compile"],
    )
    watched = Watched(trainer)
    trainer.fit()
    weights = dict(Gathered({name: p.detach() for name, p in trainer.model.named_parameters()}))
    if not alone:
        trainer.require_equal_replicas()
    return weights, watched, steps


def compare(cell: dict[str, Any], machine: Machine) -> dict[str, Any]:
    """What rank 0 found of a cell."""
    weights, watched, steps = train(cell, machine, cell["strategy"])
    if cell["strategy"] == "fsdp":
        reference, wanted, others = train(cell, machine, "ddp")
    if not machine.world.is_main:
        return {}
    if cell["strategy"] == "ddp":
        reference, wanted, others = train(cell, machine, "alone")
    pairs = list(zip(watched.steps[:KEPT_STEPS], wanted.steps[:KEPT_STEPS], strict=True))
    rows = list(zip(steps.results, others.results, strict=True))
    return {
        "gradients": [largest(a, b) for a, b in pairs],
        "shift": max(shift(a, b) for a, b in pairs),
        "weights": largest(weights, reference),
        "documents": all(a.documents == b.documents for a, b in rows),
        "targets": all(a.num_targets == b.num_targets for a, b in rows),
        "losses": max(abs(a.loss / b.loss - 1) for a, b in rows),
        "steps": len(rows),
        "backend": getattr(machine.world, "backend", "none"),
        "device": str(machine.world.device),
    }


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    config = DistributedConfig(first_step_timeout_s=240, step_timeout_s=120, fsdp_on_cpu=True)
    ranks = LaunchedRanks(Path(sys.argv[2]).parent, read_launch(), config)
    found = []
    for cell in work["cells"]:
        machine = build_machine(MachineConfig(device=work["device"], precision=cell["precision"], threads=1), ranks)
        found.append(compare(cell, machine))
        machine.world.barrier()
    if ranks.is_main:
        Path(sys.argv[2]).write_text(json.dumps(found))
    ranks.close()


if __name__ == "__main__":
    main()
