"""What a training stage hands to its session, what comes back, and the conditions that a resume must find again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import picochat
from picochat.artifacts.code_record import code_record
from picochat.data.rows import RowSource
from picochat.data.shards.manifest import Exposure
from picochat.inference.scoring import ValidationResult, ValidationSet
from picochat.model.transformer import Transformer
from picochat.stages.branch import Trunk
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.config import LoopConfig
from picochat.training.machine import Machine
from picochat.training.objective import Objective
from picochat.training.recipe import Recipe

CADENCE = frozenset(
    {
        "log_every",
        "sample_every",
        "save_every",
        "eval_every",
        "state_digest_every",
        "keep",
        "keep_every",
        "prefetch_steps",
    }
)
"""Settings that decide when something is written or read, never what is trained."""


@dataclass(frozen=True)
class Assignment:
    """What a stage hands in: its model at the start, what it optimises, on which rows, measured on what."""

    stage: str
    loop: LoopConfig
    model: Transformer
    objective: Callable[[Recipe], Objective]
    rows: RowSource
    exposure: Sequence[Exposure]
    """How often an epoch shows each source."""
    validation: ValidationSet
    tokenizer: Tokenizer
    compile: str
    """auto, on or off."""
    prompts: Sequence[tuple[str, list[int]]]
    """Prompts of the samples: as shown, and as ids."""
    inputs: dict[str, str]
    """Digests of what the training depends on, for the fingerprint."""
    optimizer_state: dict[str, Any] = field(default_factory=dict)
    """Tensors of the stage before, to go on with."""
    trunk: Trunk | None = None
    """The longer training whose first steps this one shares."""


@dataclass(frozen=True)
class Outcome:
    """What a finished training leaves behind, for the stage's report."""

    report: dict[str, Any]
    validation: ValidationResult
    weights_digest: str


def build_fingerprint(
    work: Assignment, recipe: Recipe, machine: Machine, seed: int, micro_batch_size: int
) -> dict[str, Any]:
    """The conditions of a training. `compile_mode` is filled in when it is decided."""
    own_place = CADENCE | {"micro_batch_size"}
    return {
        "inputs": work.inputs,
        "model": work.model.config.as_dict(),
        "loop": {key: value for key, value in work.loop.as_dict().items() if key not in own_place},
        "optim": recipe.optim.as_dict(),
        "tokens_per_step": recipe.tokens_per_step,
        "micro_batch_size": micro_batch_size,
        "seed": seed,
        "precision": machine.precision,
        "world_size": machine.world.size,
        "strategy": machine.strategy_name,
        "threads": machine.threads,
        "device_kind": machine.world.device.type,
        "compile_mode": "eager",
        "torch_version": machine.facts()["torch"],
        "package_version": picochat.__version__,
        "code_digest": code_record().package_digest,
    }
