"""The process environment, read in one place: what a launcher says, which compiler there is, what a test arms."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from picochat.core.errors import refuse


@dataclass(frozen=True)
class Launch:
    """What torchrun tells a process; a plain start is rank 0 of 1."""

    rank: int = 0
    local_rank: int = 0
    size: int = 1
    local_size: int = 1
    """Ranks on this host."""
    id: str = ""
    """The launcher's name for this start, with the address where its processes meet."""
    attempt: int = 0
    """How often the launcher has restarted its processes."""
    address: str = ""
    port: int = 0
    agent_store: bool = False
    """Whether the launcher itself hosts the store at `address:port`; otherwise rank 0 does."""

    @property
    def launched(self) -> bool:
        return bool(self.address)


def read_launch() -> Launch:
    """The launcher's variables of this process. Raises `launch.environment` when they contradict each other."""
    env = os.environ
    if "WORLD_SIZE" not in env:
        return Launch()
    try:
        rank, size, port = (int(env[key]) for key in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
        local_rank, local_size = int(env.get("LOCAL_RANK", "0")), int(env.get("LOCAL_WORLD_SIZE", "1"))
        attempt, address = int(env.get("TORCHELASTIC_RESTART_COUNT", "0")), env["MASTER_ADDR"]
    except (KeyError, ValueError) as err:
        refuse("launch.environment", f"WORLD_SIZE is set, but the launcher's other variables are not whole: {err}")
    if not (0 <= rank < size and 0 <= local_rank < local_size <= size):
        refuse("launch.environment", f"rank {rank} of {size}, local rank {local_rank} of {local_size}")
    return Launch(
        rank=rank,
        local_rank=local_rank,
        size=size,
        local_size=local_size,
        id=f"{env.get('TORCHELASTIC_RUN_ID', 'none')}@{address}:{port}",
        attempt=attempt,
        address=address,
        port=port,
        agent_store=env.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def cxx_compiler() -> str | None:
    """The C++ compiler that torch.compile would call on a CPU, or None."""
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")


def default_environment(values: Mapping[str, str]) -> None:
    """Sets what the user has not set, for libraries of this process that read it later."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def read_environment(name: str) -> str | None:
    """One variable, for a report."""
    return os.environ.get(name)


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The variables of this process with some changed, for a child that is started with them."""
    return {**os.environ, **changes}
