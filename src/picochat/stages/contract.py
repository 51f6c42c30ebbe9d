"""What every stage is handed, and what a stage is: `run(context, config)`, from artifacts to artifacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.clock import Clock, SystemClock
from picochat.core.config import Config
from picochat.core.events import EventWriter
from picochat.core.progress import Progress, SilentProgress
from picochat.distributed.ranks import Ranks, SoloRanks
from picochat.training.config import ResumeConfig


@dataclass
class StopFlag:
    """Set by a signal or a control file; read at step boundaries."""

    reason: str = ""

    @property
    def requested(self) -> bool:
        return bool(self.reason)


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
    live: dict[str, Any] = field(default_factory=dict)
    """What status.json shows at this moment: step, steps, tokens_per_s, eta_s. Written out by another thread."""

    def record(self, stage: str, config: Config) -> StageRecord:
        """Starts the stage's manifest."""
        return StageRecord(self.store, stage, self.attempt, config, self.clock.monotonic())
