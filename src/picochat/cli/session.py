"""Running stages from the command line: progress, signals, and the verdict at the end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from picochat.artifacts.store import RunStore
from picochat.cli.console import ConsoleProgress
from picochat.cli.launch import EARLY
from picochat.distributed.ranks import Ranks, SoloRanks
from picochat.pipeline.config import RunConfig
from picochat.pipeline.runner import Factory, StageSpec, run_stages
from picochat.stages.contract import StopFlag
from picochat.training.config import ResumeConfig


@contextlib.contextmanager
def stop_on_signals(stop: StopFlag) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGUSR1 asks for a checkpoint and an orderly end, the second ends at once."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.reason = f"signal {signal.Signals(number).name}"

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work_on(
    store: RunStore,
    config: RunConfig,
    names: tuple[str, ...] | None = None,
    *,
    resume: bool = False,
    quiet: bool = False,
    policy: ResumeConfig | None = None,
    extra: tuple[StageSpec, ...] = (),
    ranks: Ranks | None = None,
) -> None:
    """Runs stages with a progress display, then `extra` ones; raises what they raise. Rank 0 alone shows something."""
    ranks = ranks or SoloRanks()
    stop = EARLY if ranks.launch.launched else StopFlag()
    with stop_on_signals(stop), ConsoleProgress(quiet or not ranks.is_main) as progress:
        factory = Factory(progress=progress, stop=stop, resume_policy=policy or ResumeConfig(), ranks=ranks)
        run_stages(store, config, factory, names, resume, extra)
