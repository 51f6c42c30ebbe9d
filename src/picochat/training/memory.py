# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""The peak memory of a training step, counted on fake tensors: the real trainer runs, and nothing is allocated.

    python -m picochat.training.memory     one MemoryRequest in, its peak out (`core.asking`)

FakeTensorMode on device **cpu** (fake CUDA tensors with gradients abort the process) below torch's MemTracker, which
follows every storage from its making to its end. FSDP runs over a fake group of processes; there the optimizer is left
out, because the first use of a sharded tensor's operation is counted at its whole size, and its state is added.

The one module outside of `distributed/` that names torch.distributed: it owns the group that it fakes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed._tools.mem_tracker import MemTracker
from torch.distributed.device_mesh import DeviceMesh

from picochat.core.asking import answer
from picochat.core.config import Config
from picochat.data.batches import Batch
from picochat.distributed.fsdp import Fsdp
from picochat.distributed.strategy import Single
from picochat.distributed.world import SoloWorld
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters
from picochat.model.step_memory import optimizer_bytes
from picochat.training.config import LoopConfig
from picochat.training.objective import LossOutput, Objective
from picochat.training.rehearsal import Setting, build_rehearsal
from picochat.training.trainer import Trainer

CPU = torch.device("cpu")


class MemoryRequest(Config):
    """What step is counted, on one rank."""

    model: ModelConfig
    loop: LoopConfig
    precision: Literal["bf16", "fp32"]
    micro_batch_size: int = Field(gt=0)
    micro_batches: int = Field(gt=0)
    gradients_held: bool = False
    """Gradients stand in buckets from the start, as under DDP."""
    slices: int = Field(default=1, gt=0)
    """Ranks of FSDP; 1: no slices."""


class FakeWorld(SoloWorld):
    """A group whose sums are known without being computed: a fake tensor has no value."""

    def sum(self, values: Tensor) -> Tensor:
        return torch.tensor(1.0)

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return [data] * self.size


class FakeSingle(Single):
    """One process; the gradient norm is fake as well."""

    def global_norm(self, norm: Tensor) -> float:
        return 1.0


class FakeFsdp(Fsdp):
    """Slices over a mesh that is made beforehand: fake tensors cannot be read, not even a list of ranks."""

    def __init__(self, world: SoloWorld, precision: str) -> None:
        super().__init__(world, precision)
        self._mesh = super().build_mesh()

    def build_mesh(self) -> DeviceMesh:
        return self._mesh

    def global_norm(self, norm: Tensor) -> float:
        return 1.0


class _Counted:
    """An objective that tells the tracker of each micro-batch: it takes a second call of a module for a mistake."""

    name = "counted"

    def __init__(self, objective: Objective, tracker: Callable[[], MemTracker]) -> None:
        self._objective, self._tracker = objective, tracker

    def __call__(self, model: Any, batch: Batch) -> LossOutput:
        self._tracker().reset_mod_stats()
        return self._objective(model, batch)


def autocast_of(precision: str) -> Callable[[], AbstractContextManager]:
    """The context of forward passes, as `training.machine` makes it."""
    return partial(torch.autocast, "cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext


def count_peak(request: MemoryRequest) -> int:
    """Peak bytes of live tensors in one step of the second kind: the optimizer already has its state."""
    trackers: list[MemTracker] = []
    world = FakeWorld(size=request.slices)
    sliced = request.slices > 1
    if sliced:
        _open_fake_group(request.slices)
    setting = Setting(
        world,
        request.micro_batch_size,
        request.micro_batches,
        FakeFsdp(world, request.precision) if sliced else FakeSingle(),
        autocast_of(request.precision),
        lambda objective: _Counted(objective, lambda: trackers[0]),
    )
    try:
        with FakeTensorMode():
            trainer = build_rehearsal(request.model, request.loop, setting)
            trackers.append(_track(trainer, sliced))
            with trackers[0]:
                return _step(trainer, trackers[0], request)
    finally:
        if sliced:
            dist.destroy_process_group()


def _open_fake_group(size: int) -> None:
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=0, world_size=size, store=FakeStore())


def _track(trainer: Trainer, sliced: bool) -> MemTracker:
    if sliced:
        tracker = FSDPMemTracker(trainer.model, None)
        tracker.track_inputs(())
        return tracker
    tracker = MemTracker()
    tracker.track_external(trainer.model)
    return tracker


def _step(trainer: Trainer, tracker: MemTracker, request: MemoryRequest) -> int:
    """One step of the loop; under FSDP up to the clipping, and the optimizer's state is added."""
    if request.slices > 1:
        peaks: list[int] = []
        trainer.optimizer = _Halted(trainer.optimizer, lambda: peaks.append(peak_of(tracker)))  # pyright: ignore[reportAttributeAccessIssue]
        trainer.train_step()
        return peaks[0] + optimizer_bytes(request.model, request.loop.optimizer) // request.slices
    parameters = list(trainer.model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.step(0.0)
    if request.gradients_held:
        # A backward adds to gradients that are there, as it does to the buckets of DDP.
        forget_peak(tracker)
    else:
        trainer.optimizer.zero_grad()
        forget_peak(tracker)
    trainer.train_step()
    return peak_of(tracker)


class _Halted:
    """An optimizer that is asked to clip and update, and does neither."""

    def __init__(self, optimizer: Any, on_clip: Callable[[], None]) -> None:
        self._optimizer, self._on_clip = optimizer, on_clip

    def clip(self, max_norm: float) -> Tensor:
        self._on_clip()
        return torch.tensor(1.0)

    def step(self, factor: float) -> None:
        pass

    def zero_grad(self) -> None:
        self._optimizer.zero_grad()


def peak_of(tracker: MemTracker) -> int:
    """Bytes on the CPU at the most since `forget_peak`."""
    return tracker.get_tracker_snapshot("peak")[CPU]["Total"]


def forget_peak(tracker: MemTracker) -> None:
    """What was alive so far no longer counts as the peak."""
    tracker._peak_mem.clear()
    tracker._peak_mem_snap.clear()


def count(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a MemoryRequest in JSON."""
    request = MemoryRequest.from_dict(question, "memory request")
    parameters = count_parameters(request.model).total
    return {"peak_bytes": count_peak(request), "parameters": parameters, "torch": str(torch.__version__)}


if __name__ == "__main__":
    answer(count)
