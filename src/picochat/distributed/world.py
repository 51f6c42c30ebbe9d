"""The group of processes, as an object that is passed in. One process is a group of one.

Nothing else in the package asks who it is: no module-level group, nothing read from the environment.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class World(Protocol):
    """Rank, size, device, and the few collectives that training needs."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool: ...

    def sum(self, values: Tensor) -> Tensor:
        """The element-wise sum over all ranks, on every rank."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        ...

    def barrier(self) -> None: ...


class SoloWorld:
    """A group of one process. With other numbers it is the fake that tests slice batches with."""

    def __init__(self, device: torch.device | str = "cpu", rank: int = 0, size: int = 1) -> None:
        self.device = torch.device(device)
        self.rank = rank
        self.size = size

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        return values

    def any(self, flag: bool) -> bool:
        return flag

    def barrier(self) -> None:
        pass
