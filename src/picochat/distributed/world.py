"""The group of processes, as an object that is passed in. One process is a group of one.

Nothing else in the package asks who it is: no module-level group, nothing read from the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from picochat.distributed.ranks import Ranks, SoloRanks

T = TypeVar("T")


class World(Protocol):
    """Rank, size, device, and the few collectives that training needs."""

    rank: int
    size: int
    device: torch.device
    ranks: Ranks
    phase: str
    """What this rank is doing, for the message that names it when it is lost."""

    @property
    def is_main(self) -> bool: ...

    def sum(self, values: Tensor) -> Tensor:
        """The element-wise sum over all ranks, on every rank."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        ...

    def gather(self, values: Tensor) -> Tensor:
        """(size, ...) on the CPU: the tensor of each rank, all of one shape, in the order of the ranks."""
        ...

    def gather_bytes(self, data: bytes) -> list[bytes]:
        """The bytes of each rank, in the order of the ranks."""
        ...

    def barrier(self) -> None: ...

    def after_first_step(self) -> None:
        """From now on a collective waits no longer than `step_timeout_s`."""
        ...

    def watching(self) -> AbstractContextManager:
        """Inside, a collective that fails raises `launch.peer_lost`, which names the ranks that are gone."""
        ...


class SoloWorld:
    """A group of one process. With other numbers it is the fake that tests slice batches with."""

    def __init__(self, device: torch.device | str = "cpu", rank: int = 0, size: int = 1) -> None:
        self.device = torch.device(device)
        self.rank = rank
        self.size = size
        self.ranks: Ranks = SoloRanks()
        self.phase = ""

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        return values

    def any(self, flag: bool) -> bool:
        return flag

    def gather(self, values: Tensor) -> Tensor:
        return values.detach().cpu().unsqueeze(0)

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return [data]

    def barrier(self) -> None:
        pass

    def after_first_step(self) -> None:
        pass

    def watching(self) -> AbstractContextManager:
        return nullcontext()


def share_out(world: World, jobs: Sequence[T], work: Callable[[T], bytes], *, in_step: bool = False) -> list[bytes]:
    """The results of all jobs in their order, on every rank; rank r does the jobs r, r + size, ...

    `in_step` makes every rank work as often as every other, for work that is collective itself.
    """
    mine = [work(job) for job in jobs[world.rank :: world.size]]
    if in_step and jobs and len(mine) < -(-len(jobs) // world.size):
        work(jobs[-1])
    if world.size == 1:
        return mine
    sizes = np.array([len(result) for result in mine], "<i8").tobytes()
    counts = [len(range(rank, len(jobs), world.size)) for rank in range(world.size)]
    parts = [_cut(data, count) for data, count in zip(world.gather_bytes(sizes + b"".join(mine)), counts, strict=True)]
    return [parts[index % world.size][index // world.size] for index in range(len(jobs))]


def _cut(data: bytes, count: int) -> list[bytes]:
    """`count` sizes, then so many results one after the other."""
    begin = 8 * count
    ends = begin + np.cumsum(np.frombuffer(data[:begin], "<i8"))
    begins = [begin, *ends[:-1].tolist()]
    return [data[first:last] for first, last in zip(begins, ends.tolist(), strict=False)]
