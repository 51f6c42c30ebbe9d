"""What a stage optimises: from a batch to a sum of losses and the number of targets that it is a sum over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from picochat.data.batches import Batch


@dataclass(frozen=True)
class LossOutput:
    """`total_sum` is differentiated; `loss_sum` (nats, cross-entropy alone) is reported. Sums over `num_targets`."""

    total_sum: Tensor
    loss_sum: Tensor
    num_targets: int
    extras: dict[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """One per kind of training. It owns what only its loss needs, such as a frozen reference model."""

    name: str

    def __call__(self, model: nn.Module, batch: Batch) -> LossOutput: ...
