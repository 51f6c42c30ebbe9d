"""How several ranks work together, torch-free. Nothing here changes what is trained, but for the strategy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse

StrategyName = Literal["ddp", "fsdp"]


class DistributedConfig(Config):
    """Under a launcher: the strategy, and how long a rank waits for another."""

    strategy: StrategyName = "ddp"
    static_graph: bool = True
    """DDP may rely on every step using the same parameters in the same order."""
    beat_s: float = Field(default=30.0, gt=0)
    """Rank 0 shows at least this often that it lives while the others wait for it."""
    beat_limit_s: float = Field(default=120.0, gt=0)
    """A rank that has seen no new beat for so long gives up."""
    progress_limit_s: float = Field(default=1800.0, gt=0)
    """A rank gives up when rank 0 beats but has done nothing new for so long."""
    first_step_timeout_s: float = Field(default=300.0, gt=0)
    """Of a collective before the first step is done: it may wait for a compilation."""
    step_timeout_s: float = Field(default=100.0, gt=0)
    """Of a collective after the first step."""
    replica_check_every: int = Field(default=500, ge=0)
    """Steps between two comparisons of the replicas; 0 only before each save."""
    fsdp_on_cpu: bool = False
    """For tests alone: FSDP on a CPU stays unsupported."""

    @model_validator(mode="after")
    def _beats_fit_the_limit(self) -> DistributedConfig:
        if self.beat_s >= self.beat_limit_s:
            refuse(
                "config.conflict",
                f"distributed.beat_s is {self.beat_s:g}, distributed.beat_limit_s is {self.beat_limit_s:g}",
                fix=f"set distributed.beat_limit_s to more than {self.beat_s:g}",
            )
        return self
