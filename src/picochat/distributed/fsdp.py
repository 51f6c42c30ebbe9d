"""FSDP: every rank holds a slice of each block, and gathers a block only while it computes (`fully_shard`).

Zhao et al. 2023, "PyTorch FSDP", arXiv:2304.11277, in the form of torch's per-parameter sharding. Experimental: proven
on gloo and CPUs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from picochat.distributed.shards import whole
from picochat.distributed.strategy import Forward, Objective
from picochat.distributed.world import World


class Fsdp:
    """Sharded parameters, gradients and optimizer state; gradients are reduced in the last backward of a step."""

    name = "fsdp"
    rehearses = False
    replicated = False

    def __init__(self, world: World, precision: str) -> None:
        self.gradient_scale = world.size
        self._world = world
        # Gathered in bf16 where the training computes in it; gradients are always added up in float32.
        self._policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if precision == "bf16" else None, reduce_dtype=torch.float32
        )
        self._model: FSDPModule | None = None

    def build_mesh(self) -> DeviceMesh:
        """The ranks among which parameters are cut, in one row."""
        return init_device_mesh(self._world.device.type, (self._world.size,))

    def shard(self, model: nn.Module, blocks: nn.ModuleList) -> None:
        mesh = self.build_mesh()
        for block in blocks:
            fully_shard(block, mesh=mesh, mp_policy=self._policy)
        self._model = fully_shard(model, mesh=mesh, mp_policy=self._policy)

    def wrap(self, model: nn.Module, objective: Objective) -> Forward:
        return lambda batch: objective(model, batch)

    @contextmanager
    def micro_batch(self, last: bool) -> Iterator[None]:
        assert self._model is not None
        self._model.set_requires_gradient_sync(last)
        self._model.set_is_last_backward(last)
        yield

    def global_norm(self, norm: Tensor) -> float:
        return float(whole(norm))

    def settle(self) -> None:
        assert self._model is not None
        self._model.reshard()
