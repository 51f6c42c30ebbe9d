# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""The real group: torch.distributed over gloo, and NCCL beside it where there is CUDA."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from picochat.core.errors import PicochatError, refuse
from picochat.core.log import LOGGER
from picochat.distributed.env import Launch
from picochat.distributed.nccl import set_nccl_defaults
from picochat.distributed.peers import PeerBeats
from picochat.distributed.ranks import Ranks
from picochat.distributed.world import SoloWorld, World

LOST_MARKS = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "timeout", "broken pipe")
LEAVE_S = 10.0
"""How long a group may take to close before it is left behind."""


class ProcessGroupWorld:
    """One rank of a launched group. Small values travel over gloo on the CPU, so that no GPU has to be waited for."""

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        launch, config = ranks.launch, ranks.config
        self.ranks = ranks
        self.device = device
        self.rank, self.size = launch.rank, launch.size
        self.phase = "joining the group"
        self._begun = time.monotonic()
        timeout = timedelta(seconds=config.first_step_timeout_s)
        try:
            store = _open_store(launch, timeout)
            self._beats = PeerBeats(
                dist.PrefixStore(_prefix(launch), store.clone()), self.rank, self.size, lambda: self.phase
            )
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(
                backend,
                store=dist.PrefixStore(_prefix(launch), store),
                rank=self.rank,
                world_size=self.size,
                timeout=timeout,
            )
        except (RuntimeError, dist.DistError) as err:
            refuse(
                "launch.rendezvous",
                f"rank {self.rank} of {self.size} could not meet the others at {launch.address}:{launch.port}: "
                f"{_first_line(err)}",
            )
        self.backend = backend

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        return bool(self.sum(torch.tensor(int(flag))))

    def gather(self, values: Tensor) -> Tensor:
        mine = values.detach().cpu().contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(parts, mine)
        return torch.stack(parts)

    def gather_bytes(self, data: bytes) -> list[bytes]:
        sizes = self.gather(torch.tensor(len(data))).tolist()
        widest = max(1, *sizes)
        mine = torch.zeros(widest, dtype=torch.uint8)
        if data:
            mine[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        table = self.gather(mine)
        return [table[rank, : sizes[rank]].numpy().tobytes() for rank in range(self.size)]

    def barrier(self) -> None:
        self.sum(torch.zeros(()))

    def after_first_step(self) -> None:
        self.barrier()
        dist.distributed_c10d._set_pg_timeout(timedelta(seconds=self.ranks.config.step_timeout_s), dist.group.WORLD)

    @contextmanager
    def watching(self) -> Iterator[None]:
        try:
            yield
        except PicochatError:
            raise
        except RuntimeError as err:
            if not _speaks_of_a_peer(err):
                raise
            self._name_the_lost(err)

    def _name_the_lost(self, err: RuntimeError) -> None:
        failed_at = time.monotonic()
        try:
            silent = self._beats.silent()
        except (RuntimeError, dist.DistError) as second:
            silent = []
            LOGGER.error("the launcher's store is gone: %s", _first_line(second))
        named = " and ".join(f'rank {rank} (last heard in "{phase}")' for rank, phase in silent) or "another rank"
        refuse(
            "launch.peer_lost",
            f'rank {self.rank} lost {named} while in "{self.phase}", {failed_at - self._begun:.0f} s after it joined: '
            f"{_first_line(err)}",
        )

    def close(self, peacefully: bool) -> bool:
        """Leaves the group, after the others where all is well; False when it could not be closed in time.

        What is done is done: a rank that is lost at this point undoes nothing, and is only written down.
        """
        if peacefully:
            try:
                self.phase = "leaving"
                self.barrier()
            except RuntimeError as err:
                LOGGER.warning("another rank left before the end: %s", _first_line(err))
        self._beats.close()
        leaving = threading.Thread(target=dist.destroy_process_group, name="leaving", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)
        return not leaving.is_alive()


def open_world(ranks: Ranks, device: torch.device) -> World:
    """The world of this process: a group of one, or the launched group, joined once and kept.

    Raises `launch.rendezvous` when the others cannot be met.
    """
    if not ranks.launch.launched:
        world = SoloWorld(device)
        world.ranks = ranks
        return world
    if ranks.group is None:
        if device.type == "cuda":
            set_nccl_defaults()
            torch.cuda.set_device(device)
        ranks.group = ProcessGroupWorld(ranks, device)
    return ranks.group


def _open_store(launch: Launch, timeout: timedelta) -> dist.TCPStore:
    """The launcher's own store; without one, rank 0 hosts it."""
    hosts = launch.rank == 0 and not launch.agent_store
    return dist.TCPStore(launch.address, launch.port, launch.size, is_master=hosts, timeout=timeout, multi_tenant=True)


def _prefix(launch: Launch) -> str:
    """Every attempt meets in a place of its own: an old one may hold addresses of the dead."""
    return f"picochat/{launch.id}/{launch.attempt}"


def _speaks_of_a_peer(err: RuntimeError) -> bool:
    return isinstance(err, dist.DistError) or any(mark in str(err).lower() for mark in LOST_MARKS)


def _first_line(err: BaseException) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0]
