"""Trainings that are stopped, saved, and gone on with by another process.

    python -m tests.gpu.resume_program WORK.json RESULT.json

WORK names the device, whether torch must compute deterministically, the step after which every training stops (0: at
its end), and the trainings: a precision and a folder, where a checkpoint is gone on from when there is one. RESULT has
for each the step that it began at, and the digest of weights, optimizer and average after each step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tests.gpu.trainings import SMALL, build, open_machine

from picochat.checkpoint.rng import seed_rng
from picochat.training.config import ResumeConfig
from picochat.training.hooks import Hook
from picochat.training.keeper import Keeper, rng_digest, state_digest
from picochat.training.ledger import Ledger

STEPS = 12


class Digests(Hook):
    """The state after each step."""

    def __init__(self) -> None:
        self.found: dict[int, str] = {}

    def on_step(self, trainer: Any, result: Any) -> None:
        self.found[result.step] = state_digest(trainer)


def train(device: str, precision: str, folder: Path, stop_after: int, **chosen: Any) -> dict[str, Any]:
    """One training, from its checkpoint where there is one, to its end or to `stop_after`."""
    folder.mkdir(parents=True, exist_ok=True)
    seed_rng(1)
    machine = open_machine(device, precision)
    trainer, _ = build(
        machine.world, SMALL, folder, autocast=machine.autocast, steps=STEPS, micro_batches=2, ema=True, **chosen
    )
    trainer.loop.rng_digest = rng_digest
    trainer.loop.stop_reason = lambda: "asked for" if trainer.state.step == stop_after else ""
    keeper = Keeper(folder, "base", "0" * 64, {"precision": precision, "compile_mode": "eager"})
    resumed = keeper.restore(trainer, ResumeConfig())
    if resumed:
        trainer.loop.ledger = Ledger(folder / "ledger", resumed.state.step)
    begun, digests = trainer.state.step, Digests()
    trainer.hooks = [digests]
    trainer.fit()
    trainer.loop.ledger.close()
    keeper.save(trainer)
    return {
        "begun": begun,
        "may_be_exact": resumed.may_be_exact if resumed else None,
        "digests": [digests.found[step] for step in sorted(digests.found)],
    }


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    torch.use_deterministic_algorithms(work["deterministic"])
    found = [
        train(work["device"], row["precision"], Path(row["folder"]), work["stop_after"], **row["chosen"])
        for row in work["trainings"]
    ]
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
