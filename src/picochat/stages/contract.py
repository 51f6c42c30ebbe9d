"""What every stage is handed, and what a stage is: `run(context, config)`, from artifacts to artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from picochat.artifacts.store import RunStore, StageRecord
from picochat.checkpoint.fingerprint import Difference
from picochat.core.clock import Clock, SystemClock
from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.core.events import EventWriter
from picochat.core.progress import Progress, SilentProgress
from picochat.core.workers import map_in_order
from picochat.distributed.ranks import Ranks, SoloRanks
from picochat.training.config import ResumeConfig

BYTES_A_PROCESS = 8_000_000
"""Text that takes about as long to work on as a process takes to start."""
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass
class StopFlag:
    """Set by a signal or a control file; read at step boundaries."""

    reason: str = ""
    now: bool = False
    """Whether no checkpoint is to be saved first: the last one stands, and a resume repeats the steps after it."""

    @property
    def requested(self) -> bool:
        return bool(self.reason)


@dataclass(frozen=True)
class Replay:
    """Some steps of a training that are done again elsewhere, to be compared with the recorded ones."""

    last_step: int
    """Where it ends, unless the training ends before."""
    fingerprint: Mapping[str, Any]
    """The recorded conditions; the compile mode is taken from them."""
    policy: ResumeConfig
    """Which other conditions are allowed."""
    differences: list[Difference] = field(default_factory=list)
    """Conditions that differ and were allowed; filled by the training before its first step."""


@dataclass(frozen=True)
class StageContext:
    """The run, and the ways to say what happens. Torch-free: a stage that trains builds its own world."""

    store: RunStore
    events: EventWriter
    seed: int
    attempt: int = 1
    resume: bool = False
    resume_policy: ResumeConfig = field(default_factory=ResumeConfig)
    progress: Progress = field(default_factory=SilentProgress)
    clock: Clock = field(default_factory=SystemClock)
    stop: StopFlag = field(default_factory=StopFlag)
    ranks: Ranks = field(default_factory=SoloRanks)
    workers: int = 1
    """Processes that a stage without torch may use."""
    live: dict[str, Any] = field(default_factory=dict)
    """What status.json shows at this moment: step, steps, tokens_per_s, eta_s. Written out by another thread."""
    replay: Replay | None = None

    def map_many(
        self, build: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], count: int, work_bytes: int
    ) -> Iterator[Result]:
        """`map` for jobs that are made as they are needed; `count` is how many there will be."""
        processes = min(self.workers, count, max(1, work_bytes // BYTES_A_PROCESS))
        return map_in_order(build, jobs, processes=processes, stop_reason=lambda: self.stop.reason)

    def map(
        self, build: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], work_bytes: int
    ) -> Iterator[Result]:
        """The results of all jobs in order, by as many processes as are allowed and worth their start.

        `work_bytes` is the text that all jobs read together (see `core.workers`).
        """
        return self.map_many(build, jobs, len(jobs), work_bytes)

    def watch(self, note: str) -> Callable[[float, float], None]:
        """`progress(done, total)` of a piece of work; it raises `run.stopped` when a stop was asked for."""

        def progress(done: float, total: float) -> None:
            self.progress.update(done, total, note)
            if self.stop.requested:
                refuse("run.stopped", f"stopped while {note}: {self.stop.reason}", why="finished pieces are kept")

        return progress

    def record(self, stage: str, config: Config) -> StageRecord:
        """Starts the stage's manifest."""
        return StageRecord(self.store, stage, self.attempt, config, self.clock.monotonic())
