"""How a ladder is laid out below a profile."""

from __future__ import annotations

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.evals.scaling.requirements import MIN_LENGTHS, MIN_SEEDS, MIN_SIZES, MIN_SPAN


class LadderConfig(Config):
    """Sizes, lengths and seeds. It is not part of a run's configuration: `--set ladder.KEY=VALUE`."""

    sizes: int = Field(default=5, ge=MIN_SIZES, le=20)
    """Sizes of the ladder, evenly apart in the logarithm of their parameters."""
    span: float = Field(default=10.0, ge=MIN_SPAN)
    """Parameters of the largest size over those of the smallest."""
    gap: float = Field(default=3.0, ge=1.0)
    """Parameters of the profile over those of the largest size."""
    cuts: list[float] = [0.25, 0.5, 1.0]
    """Lengths of each size, as shares of its longest; the shorter ones branch off from the longest."""
    tokens_per_parameter: float | None = Field(default=None, gt=0)
    """Of the longest training of each size; None: 20, or as many as the profile has where it has more. A rung never
    has more tokens than the profile."""
    seeds: int = Field(default=3, ge=MIN_SEEDS, le=20)
    """Trainings of the smallest size with different seeds, which tell the noise."""

    @model_validator(mode="after")
    def _cuts_lead_to_the_whole(self) -> LadderConfig:
        rising = all(a < b for a, b in zip(self.cuts, self.cuts[1:], strict=False))
        if len(self.cuts) < MIN_LENGTHS or not rising or self.cuts[0] <= 0 or self.cuts[-1] != 1.0:
            refuse(
                "config.conflict",
                f"ladder.cuts is {self.cuts}: {MIN_LENGTHS} shares or more are needed, each above the one before, "
                "the last of them 1.0",
                fix="set ladder.cuts = [0.25, 0.5, 1.0]",
            )
        return self
