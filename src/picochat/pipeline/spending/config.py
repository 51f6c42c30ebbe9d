"""What a run may cost: written by a launch into the run's configuration, enforced by the run itself."""

from __future__ import annotations

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse


class LaunchConfig(Config):
    """Without a cap nothing is counted."""

    cap_usd: float | None = Field(default=None, gt=0, le=1e9)
    """Dollars that this run may cost in all, over all its attempts."""
    rate_usd_per_gpu_hour: float | None = Field(default=None, gt=0, le=1e4)
    gpus: int = Field(default=1, ge=1, le=65_536)
    billed_before_s: float = Field(default=0.0, ge=0)
    """Seconds of an attempt that were billed before its program started: boot, image, copies."""
    reserve_s: float = Field(default=120.0, ge=0)
    """Seconds kept for the last step and the last checkpoint: the run stops so much before its cap."""
    stop_after_steps: int | None = Field(default=None, ge=1)
    """A rehearsal: stop with a checkpoint once base has reached so many steps."""

    @model_validator(mode="after")
    def _cap_has_a_rate(self) -> LaunchConfig:
        if self.cap_usd is not None and self.rate_usd_per_gpu_hour is None:
            refuse(
                "config.conflict",
                f"launch.cap_usd is {self.cap_usd:.2f} and launch.rate_usd_per_gpu_hour is not set",
                fix="set launch.rate_usd_per_gpu_hour: without it no second has a price",
            )
        return self

    @property
    def usd_per_s(self) -> float:
        """Dollars that a second costs; 0 without a rate."""
        return (self.rate_usd_per_gpu_hour or 0.0) * self.gpus / 3600
