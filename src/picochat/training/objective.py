"""What a stage optimises: from a batch to a sum of losses and the number of targets that it is a sum over."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from picochat.data.batches import Batch


class LossOutput(NamedTuple):
    """`total_sum` is differentiated; `loss_sum` (nats, cross-entropy alone) is reported. Sums over `num_targets`.

    A tuple, because DDP looks for the tensors of a result in tuples, lists and dicts only.
    """

    total_sum: Tensor
    loss_sum: Tensor
    num_targets: int
    extras: Mapping[str, float] = MappingProxyType({})


class Objective(Protocol):
    """One per kind of training. It owns what only its loss needs, such as a frozen reference model."""

    name: str

    def __call__(self, model: nn.Module, batch: Batch) -> LossOutput: ...
