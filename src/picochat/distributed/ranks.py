"""Who this process is among the others, and what rank 0 does alone (torch-free).

The group of processes with its collectives is `World`; it is opened when the first tensor has to travel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from picochat.core.errors import PicochatError, refuse
from picochat.core.failpoints import failpoint
from picochat.core.log import LOGGER
from picochat.distributed.config import DistributedConfig
from picochat.distributed.control import ControlReader, ControlWriter
from picochat.distributed.env import Launch


class Ranks(Protocol):
    """This process's place, and the one way to do something on rank 0 alone."""

    launch: Launch
    config: DistributedConfig
    group: Any
    """The process group, once it has been joined."""

    @property
    def is_main(self) -> bool: ...

    def on_main(self, what: str, work: Callable[[], Any]) -> Any:
        """Runs `work` on rank 0 and gives its value, which must be JSON, to every rank; an error likewise.

        The others wait without a pending collective, for as long as rank 0 lives and gets on.
        """
        ...

    def advance(self) -> None:
        """Counts progress of what rank 0 does alone."""
        ...

    def close(self, err: BaseException | None = None) -> bool:
        """Leaves the others, who hear of an error; False when the group could not be left in time."""
        ...


class SoloRanks:
    """One process: it does everything itself."""

    def __init__(self, config: DistributedConfig | None = None) -> None:
        self.launch = Launch()
        self.config = config or DistributedConfig()
        self.group: Any = None

    @property
    def is_main(self) -> bool:
        return True

    def on_main(self, what: str, work: Callable[[], Any]) -> Any:
        return work()

    def advance(self) -> None:
        pass

    def close(self, err: BaseException | None = None) -> bool:
        return True


class LaunchedRanks:
    """One of several processes that a launcher started with the same command, all naming the same folder."""

    def __init__(
        self, root: Path, launch: Launch, config: DistributedConfig, stopped: Callable[[], bool] = bool
    ) -> None:
        """`stopped` says whether this process was asked to end.

        Raises `disk.*` when rank 0 cannot write its control file into the folder.
        """
        self.launch, self.config = launch, config
        self.group: Any = None
        self._turn = 0
        self._busy = False
        self._writer = ControlWriter(root, launch, config.beat_s) if self.is_main else None
        self._reader = None if self.is_main else ControlReader(root, launch, config, stopped=stopped)

    @property
    def is_main(self) -> bool:
        return self.launch.rank == 0

    def on_main(self, what: str, work: Callable[[], Any]) -> Any:
        self._turn += 1
        if self._writer is None:
            assert self._reader is not None
            return self._reader.wait(self._turn, what)
        if self._busy:
            raise RuntimeError(f"{what!r}: rank 0 is alone already")
        self._busy = True
        try:
            self._writer.begin(what)
            failpoint("setup.alone")
            value = self._writer.finish(work())
        except BaseException as err:
            self._tell(err)
            raise
        finally:
            self._busy = False
        return value

    def advance(self) -> None:
        if self._writer:
            self._writer.advance()

    def close(self, err: BaseException | None = None) -> bool:
        if self._writer and err is not None:
            self._tell(err)
        left = self.group is None or self.group.close(peacefully=err is None)
        if self._writer:
            self._writer.close()
        return left

    def _tell(self, err: BaseException) -> None:
        assert self._writer is not None
        try:
            self._writer.fail(err)
        except PicochatError as second:
            LOGGER.error("the other ranks could not be told: %s", second.detail)


def require_launch(launch: Launch, ddp: bool) -> None:
    """Refuses a launcher without --ddp, and --ddp without a launcher. Raises `launch.flag`."""
    if launch.launched and launch.size > 1 and not ddp:
        refuse(
            "launch.flag",
            f"a launcher started {launch.size} processes, and --ddp is missing: each would train alone",
            fix="add --ddp, or start one process without a launcher",
        )
    if ddp and not launch.launched:
        refuse(
            "launch.flag",
            "--ddp needs a launcher, and this is a plain start",
            fix="torchrun --standalone --nproc_per_node=2 -m picochat.cli COMMAND --ddp",
        )
