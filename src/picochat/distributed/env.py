"""The process environment, read in one place: what a launcher says, which compiler there is, what a test arms."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """What torchrun tells a process; a plain start is rank 0 of 1."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1


def read_launch() -> Launch:
    """The launcher's variables of this process."""
    return Launch(
        rank=int(os.environ.get("RANK", "0")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
    )


def cxx_compiler() -> str | None:
    """The C++ compiler that torch.compile would call on a CPU, or None."""
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")
