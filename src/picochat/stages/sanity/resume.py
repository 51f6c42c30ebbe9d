"""Proof: a training that was saved and resumed in another process is the training that was never interrupted.

    uninterrupted   steps 1 ... N in this process
    saved           steps 1 ... N/2 in this process, then a checkpoint
    resumed         steps N/2+1 ... N by `stages.sanity.resumed` in a process of its own, from that checkpoint

T0  CPU, eager, fixed threads: equal to the bit. T1  one GPU, eager, when repetitions are equal to the bit: the same.
T2  compiled, or a GPU whose repetitions differ: no further away than repetitions are from each other.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import picochat
from picochat.artifacts.checks import CheckResult
from picochat.checkpoint.rng import seed_rng
from picochat.core.jsonio import parse_json, pretty_json, read_json
from picochat.core.subprocesses import run_quiet
from picochat.stages.sanity.building import Workplace, build_trainer
from picochat.stages.sanity.config import SanityConfig
from picochat.stages.sanity.material import open_material
from picochat.stages.sanity.verdicts import fail, judge
from picochat.training.config import ResumeConfig
from picochat.training.keeper import Keeper, rng_digest, state_digest
from picochat.training.language_modeling import LanguageModeling
from picochat.training.machine import build_machine, compile_blocks
from picochat.training.trainer import Trainer

PLAN = "plan.json"
RESUMED_MODULE = "picochat.stages.sanity.resumed"
STAGE = "sanity"
RUN_DIGEST = "0" * 64
REPETITIONS = 3
CHILD_LIMIT_S = 900.0
CLAIMS = {
    "T0": "T0: on this CPU, eager and with a fixed number of threads, a resume is exact to the bit",
    "T1": f"T1: on this GPU, eager, {REPETITIONS} repetitions were equal to the bit, and so must a resume be",
    "T2": "T2: a resume is as close as repetitions of the same training are to each other",
}


class Trace(NamedTuple):
    """What a training did: per step loss, gradient norm (exact, in hexadecimal) and documents; its state at the end."""

    steps: list[list[Any]]
    """[step, loss, gradient norm, digest of the documents]"""
    state: str
    """Weights, optimizer and EMA."""
    rng: str
    position: dict[str, Any]

    def after(self, step: int) -> Trace:
        """The same without the first steps."""
        return self._replace(steps=self.steps[step:])

    def losses(self) -> list[float]:
        return [float.fromhex(row[1]) for row in self.steps]


def prove_resume(place: Workplace) -> tuple[CheckResult, str]:
    """Counts what differs from an uninterrupted training, or measures how far the losses are off; and the claim."""
    config, device = place.material.config, place.machine.world.device
    exact = device.type == "cpu" and not compiles(config)
    whole = [train_whole(place, number) for number in range(1 if exact else REPETITIONS)]
    save_half(place)
    resumed = resume_elsewhere(place.folder)
    if resumed is None:
        return fail("sanity.resume", "the process that should go on failed"), "none"
    later = [trace.after(config.steps // 2) for trace in whole]
    if any(differences(later[0], other) for other in later[1:]):
        spread = max(distance(a, b) for a, b in combinations(later, 2))
        nearest = min(distance(one, resumed) for one in later)
        return judge("sanity.resume_close", nearest, spread, len(resumed.steps)), CLAIMS["T2"]
    found = differences(later[0], resumed)
    claim = "T0" if exact else "T2" if compiles(config) else "T1"
    return judge("sanity.resume", len(found), 0, 3 * len(later[0].steps) + 3), CLAIMS[claim]


def compiles(config: SanityConfig) -> bool:
    """`auto` stays eager: a few steps never pay for a compilation."""
    return config.machine.compile == "on"


def differences(one: Trace, other: Trace) -> list[str]:
    """The names of all values that are not equal to the bit."""
    found = [
        f"step {row[0]} value {place}"
        for row, again in zip(one.steps, other.steps, strict=False)
        for place, (value, repeated) in enumerate(zip(row, again, strict=True))
        if value != repeated
    ]
    if len(one.steps) != len(other.steps):
        found.append(f"{len(one.steps)} and {len(other.steps)} steps")
    return found + [name for name in ("state", "rng", "position") if getattr(one, name) != getattr(other, name)]


def distance(one: Trace, other: Trace) -> float:
    """The largest difference of a loss, as a share of it; infinite when steps or documents are others."""
    if [row[0::3] for row in one.steps] != [row[0::3] for row in other.steps]:
        return float("inf")
    return max(abs(a - b) / abs(a) for a, b in zip(one.losses(), other.losses(), strict=True))


def train_whole(place: Workplace, number: int) -> Trace:
    """All steps without a stop."""
    trainer = prepare(place, place.folder / f"whole-{number}")
    return train(trainer, place.material.config)


def save_half(place: Workplace) -> None:
    """The first half of the steps, a checkpoint, and the plan for whoever goes on."""
    config, folder = place.material.config, place.folder / "resumed"
    trainer = prepare(place, folder)
    for _ in range(config.steps // 2):
        trainer.train_step()
    trainer.loop.ledger.close()
    build_keeper(place, folder).save(trainer)
    (place.folder / PLAN).write_bytes(pretty_json(config.as_dict()))


def resume_elsewhere(folder: Path) -> Trace | None:
    """What another process makes of the checkpoint; None when it fails."""
    argv = [sys.executable, "-m", RESUMED_MODULE, str(folder.absolute())]
    output = run_quiet(argv, cwd=Path(picochat.__file__).parents[1], timeout_s=CHILD_LIMIT_S)
    return None if output is None else Trace(**parse_json(output.encode(), "resumed training"))


def resume_here(folder: Path) -> Trace:
    """The other process: everything from the files, then the steps that are left."""
    config = SanityConfig.from_dict(read_json(folder / PLAN), str(folder / PLAN))
    machine = build_machine(config.machine)
    place = Workplace(open_material(config), machine, folder)
    own = folder / "resumed"
    # Another start and another seed, so that nothing is right that was not restored.
    model = place.material.build_model(machine.world.device, seed=config.seed + 1)
    trainer = build_trainer(place, build_objective(config), folder=own, model=model)
    seed_rng(config.seed + 1)
    build_keeper(place, own).restore(trainer, ResumeConfig())
    if compiles(config):
        compile_blocks(model)
    return train(trainer, config)


def prepare(place: Workplace, folder: Path) -> Trainer:
    """A trainer at its start."""
    config = place.material.config
    model = place.material.build_model(place.machine.world.device)
    trainer = build_trainer(place, build_objective(config), folder=folder, model=model)
    if compiles(config):
        compile_blocks(model)
    return trainer


def build_objective(config: SanityConfig) -> LanguageModeling:
    return LanguageModeling(config.loop.z_loss, config.loop.loss_chunk_tokens)


def build_keeper(place: Workplace, folder: Path) -> Keeper:
    """The keeper of the half training; its conditions are the whole configuration."""
    config, machine = place.material.config, place.machine
    conditions = {"config": config.digest(), "compile_mode": "block" if compiles(config) else "eager"}
    return Keeper(folder, STAGE, RUN_DIGEST, conditions | {"threads": machine.threads, "precision": machine.precision})


def train(trainer: Trainer, config: SanityConfig) -> Trace:
    """Trains to the last step and tells what was done."""
    steps = []
    while trainer.state.step < config.steps:
        result = trainer.train_step()
        steps.append([result.step, result.loss.hex(), result.grad_norm.hex(), result.documents])
    trainer.loop.ledger.close()
    return Trace(steps, state_digest(trainer), rng_digest(), trainer.batches.state_dict())
