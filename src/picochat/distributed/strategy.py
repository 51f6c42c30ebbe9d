"""How several replicas become one training: who holds which part of the model, and when gradients travel.

    Single   one process
    Ddp      every rank holds everything; gradients are averaged in the last backward of a step
    Fsdp     every rank holds a slice of each block (distributed/fsdp.py)

A strategy knows nothing of batches and losses: it is handed an objective, and returns something that is called alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

NO_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in inspect.signature(DistributedDataParallel).parameters
)
"""How this torch calls the switch that sends buffers before each forward."""
Objective = Callable[[nn.Module, Any], Any]
Forward = Callable[[Any], Any]


class Strategy(Protocol):
    """Between the loop and the model."""

    name: str
    rehearses: bool
    """Whether the first backward of a process is thrown away (see `Ddp`)."""
    replicated: bool
    """Whether every rank holds the whole state; otherwise a forward is collective, and so is reading a tensor."""
    gradient_scale: int
    """What a loss is multiplied with, because the strategy divides gradients by it."""

    def shard(self, model: nn.Module, blocks: nn.ModuleList) -> None:
        """Takes the model apart where the strategy does so; before the optimizer is built."""
        ...

    def wrap(self, model: nn.Module, objective: Objective) -> Forward:
        """`objective(model, batch)` as a function of the batch."""
        ...

    def micro_batch(self, last: bool) -> AbstractContextManager:
        """Around forward and backward of a micro-batch; gradients travel in the last one of a step."""
        ...

    def global_norm(self, norm: Tensor) -> float:
        """The gradient norm of the whole model, from what clipping returned."""
        ...

    def settle(self) -> None:
        """After a forward without backward: parameters are again what the optimizer owns."""
        ...


class Single:
    """One process: nothing travels."""

    name = "single"
    rehearses = False
    replicated = True
    gradient_scale = 1

    def shard(self, model: nn.Module, blocks: nn.ModuleList) -> None:
        pass

    def wrap(self, model: nn.Module, objective: Objective) -> Forward:
        return lambda batch: objective(model, batch)

    def micro_batch(self, last: bool) -> AbstractContextManager:
        return nullcontext()

    def global_norm(self, norm: Tensor) -> float:
        return float(norm)

    def settle(self) -> None:
        pass


class Ddp:
    """Replicas on every rank, torch's DistributedDataParallel between them.

    The first backward is a rehearsal whose gradients are thrown away, for two reasons. With a static graph the reducer
    of torch 2.13 dies when its first backward is one that does not reduce, as the first of an accumulation is. And it
    lays out its buckets anew after the first backward: with more than two ranks another layout is another order of
    additions, so the first step of a resumed process would not be, to the bit, the step that it repeats.
    """

    name = "ddp"
    rehearses = True
    replicated = True

    def __init__(self, world_size: int, static_graph: bool = True) -> None:
        self.gradient_scale = world_size
        self._static_graph = static_graph
        self._replica: DistributedDataParallel | None = None

    def shard(self, model: nn.Module, blocks: nn.ModuleList) -> None:
        pass

    def wrap(self, model: nn.Module, objective: Objective) -> Forward:
        # No buffers are sent: rotary tables follow from the configuration, and the model has no others.
        self._replica = DistributedDataParallel(
            _Step(model, objective),
            static_graph=self._static_graph,
            gradient_as_bucket_view=True,
            **{NO_BUFFERS: False},  # pyright: ignore[reportArgumentType]
        )
        return self._replica

    def micro_batch(self, last: bool) -> AbstractContextManager:
        assert self._replica is not None
        return nullcontext() if last else self._replica.no_sync()

    def global_norm(self, norm: Tensor) -> float:
        return float(norm)

    def settle(self) -> None:
        pass


class _Step(nn.Module):
    """The objective as a module, so that head and loss lie inside of what DDP and FSDP watch."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: Any) -> Any:
        return self._objective(self.model, batch)
