"""What happens beside the steps. A hook listens to five events and never changes the training.

on_start, on_step, on_skip, on_stop and on_finish are called in the order in which the stage lists its hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from picochat.data.batches import BatchStream
from picochat.training.state import TrainState


class Plan(Protocol):
    """What a hook may ask about the loop."""

    @property
    def steps(self) -> int: ...


class Training(Protocol):
    """What a hook sees of the trainer that calls it."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def batches(self) -> BatchStream: ...

    @property
    def loop(self) -> Plan: ...

    @property
    def state(self) -> TrainState: ...

    def require_equal_replicas(self) -> None: ...


@dataclass(frozen=True)
class StepResult:
    """One finished step: global loss (nats a target), gradient norm before clipping, rates and counts."""

    step: int
    accepted: bool
    loss: float
    grad_norm: float
    lr: float
    tokens: int
    num_targets: int
    duration_s: float
    data_wait_s: float
    documents: str
    extras: Mapping[str, float]


class Hook:
    """Does nothing at every event."""

    def on_start(self, trainer: Training) -> None:
        """Before the first step of this process."""

    def on_step(self, trainer: Training, result: StepResult) -> None:
        """After every step, accepted or not."""

    def on_skip(self, trainer: Training, result: StepResult) -> None:
        """After a step that the guard rejected, before on_step."""

    def on_stop(self, trainer: Training, reason: str) -> None:
        """When training ends before its last step, on request or by the guard."""

    def on_finish(self, trainer: Training) -> None:
        """After the last planned step."""
