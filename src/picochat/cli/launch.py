"""A command as one of several ranks that a launcher started: its place, its log, its end.

Every rank gets the same command and the same --out-dir. A refusal is made by every rank alike, before any work, and
stands in its log; rank 0's stands in status.json as well.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from picochat.artifacts import layout
from picochat.artifacts.store import RunLock, RunStore
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import pretty_json, read_json
from picochat.core.log import LOGGER, close_log, open_log
from picochat.core.parent import follow_parent
from picochat.core.redact import redact_tree
from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import Launch, read_launch
from picochat.distributed.guardrails import require_supported
from picochat.distributed.ranks import LaunchedRanks, Ranks, SoloRanks, require_launch
from picochat.stages.contract import StopFlag

EARLY = StopFlag()
"""Of a launched process: set by a signal, at any time from its start to its end."""


def begin_launched() -> None:
    """The first thing a launched process does: it follows its launcher, and outlives a signal until it can answer it.

    A launcher that loses one rank signals the others at once; each shall still get to say why it ends.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        EARLY.reason = f"signal {signal.Signals(number).name}"

    def on_launcher_gone(number: int, frame: FrameType | None) -> None:
        EARLY.reason = EARLY.reason or "the launcher is gone"

    signal.signal(signal.SIGTERM, on_signal)
    # A signal of its own: the kernel sends one for each thread of the launcher that dies, and a second SIGTERM is the
    # wish to end at once.
    signal.signal(signal.SIGUSR2, on_launcher_gone)
    follow_parent(signal.SIGUSR2)


@contextlib.contextmanager
def as_ranks(
    root: Path | None, config: DistributedConfig, *, ddp: bool, uses: frozenset[str] = frozenset()
) -> Iterator[Ranks]:
    """This process's place among the ranks, for the time of a command.

    `uses` are the features that the command needs of the strategy. Raises `launch.*` or `strategy.refused`.
    """
    launch = read_launch()
    if not launch.launched:
        require_launch(launch, ddp)
        if config.strategy == "fsdp":
            require_supported(config.strategy, uses, config.fsdp_on_cpu)
            refuse(
                "launch.flag",
                "--distributed-strategy fsdp shards a model over ranks, and this is a plain start",
                fix="torchrun --standalone --nproc_per_node=2 -m picochat.cli COMMAND --ddp",
            )
        yield SoloRanks(config)
        return
    ranks: LaunchedRanks | None = None
    try:
        require_launch(launch, ddp)
        if root is None:
            refuse(
                "launch.out_dir",
                f"rank {launch.rank} of {launch.size} does not know the run folder",
                fix="give --out-dir: all ranks name the same folder",
            )
        require_supported(config.strategy, uses, config.fsdp_on_cpu)
        fs.make_dir(root / layout.LOGS)
        ranks = LaunchedRanks(root, launch, config, lambda: EARLY.requested)
        yield ranks
    except BaseException as err:
        _tell(root, launch, err)
        if ranks is not None and not ranks.close(err):
            _leave(err)
        raise
    ranks.close()


def _tell(root: Path | None, launch: Launch, err: BaseException) -> None:
    """The reason in this rank's log, and rank 0's in status.json when the run has not written it there already."""
    if root is None:
        return
    code = err.code if isinstance(err, PicochatError) else type(err).__name__
    detail = err.detail if isinstance(err, PicochatError) else str(err)
    with contextlib.suppress(PicochatError, OSError):
        fs.make_dir(root / layout.LOGS)
        log = open_log(root / layout.rank_log(launch.rank))
        LOGGER.error(
            "rank %d of %d ends with exit code %d: %s: %s", launch.rank, launch.size, _exit_code(err), code, detail
        )
        close_log(log)
        if launch.rank == 0:
            _write_status(root, {"code": code, "detail": detail})


def _write_status(root: Path, error: dict[str, str]) -> None:
    path = root / layout.STATUS
    if path.is_file() and read_json(path).get("pid") == os.getpid():
        return
    with RunLock(root):
        status = {"state": "failed", "host": platform.node(), "pid": os.getpid(), "updated_at": utc_now()}
        fs.write_volatile(RunStore(root).path(layout.STATUS), pretty_json(redact_tree(status | {"error": error})))


def _exit_code(err: BaseException) -> int:
    if isinstance(err, PicochatError):
        return err.exit_code
    return 130 if isinstance(err, KeyboardInterrupt) else 1


def _leave(err: BaseException) -> None:
    """Ends at once: a group that cannot be closed would hold the interpreter at its exit."""
    LOGGER.error("the group could not be closed; leaving it behind")
    os._exit(_exit_code(err))
