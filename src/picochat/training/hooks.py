"""What happens beside the steps. A hook listens to five events and never changes the training.

on_start, on_step, on_skip, on_stop and on_finish are called in the order in which the stage lists its hooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picochat.training.trainer import Trainer


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
    documents: str
    extras: dict[str, float]


class Hook:
    """Does nothing at every event."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step of this process."""

    def on_step(self, trainer: Trainer, result: StepResult) -> None:
        """After every step, accepted or not."""

    def on_skip(self, trainer: Trainer, result: StepResult) -> None:
        """After a step that the guard rejected, before on_step."""

    def on_stop(self, trainer: Trainer, reason: str) -> None:
        """When training ends before its last step, on request or by the guard."""

    def on_finish(self, trainer: Trainer) -> None:
        """After the last planned step."""
