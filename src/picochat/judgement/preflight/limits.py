"""The limits of preflight: a versioned file, whose digest stands in every preflight.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from picochat.core.config import Config, read_toml
from picochat.core.hashing import sha256_file
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS

LIMITS = Path(__file__).parent / "limits.toml"

Level = Literal["pass", "warn", "release", "block"]
"""`release` blocks a release and every rented machine, and warns under research."""


class CheckLimits(Config):
    """One check's limits."""

    id: str
    rented: bool = False
    """Asked for machines that are paid by the hour alone."""
    seen: bool = False
    """Asked for machines that can be looked at alone; a start asks the others itself."""
    block_below: float | None = None
    block_above: float | None = None
    release_below: float | None = None
    release_above: float | None = None
    warn_below: float | None = None
    warn_above: float | None = None

    def level(self, value: float) -> Level:
        """The worst level that a number reaches."""
        levels: tuple[tuple[Level, float | None, float | None], ...] = (
            ("block", self.block_below, self.block_above),
            ("release", self.release_below, self.release_above),
            ("warn", self.warn_below, self.warn_above),
        )
        for level, below, above in levels:
            if (below is not None and value < below) or (above is not None and value > above):
                return level
        return "pass"

    def may_block(self, *, strict: bool) -> bool:
        """Whether this check can block at all; `strict` outside of research."""
        names = ("block_below", "block_above", *(("release_below", "release_above") if strict else ()))
        return any(getattr(self, name) is not None for name in names)

    def threshold(self, value: float | None, *, low_is_good: bool) -> float | None:
        """The limit to show beside a number: the one that it missed, else the nearest on its bad side."""
        above = (self.block_above, self.release_above, self.warn_above)
        below = (self.block_below, self.release_below, self.warn_below)
        if value is not None:
            missed = [limit for limit in above if limit is not None and value > limit]
            missed += [limit for limit in below if limit is not None and value < limit]
            if missed:
                return missed[0]
        known = [limit for limit in (above if low_is_good else below) if limit is not None]
        known = known or [limit for limit in (*above, *below) if limit is not None]
        return known[-1] if known else None


class Limits(Config):
    """All checks in the order in which they are shown."""

    name: str
    version: int = Field(ge=1)
    checks: list[CheckLimits]

    @model_validator(mode="after")
    def _every_check_once(self) -> Self:
        ids = [check.id for check in self.checks]
        if sorted(ids) != sorted(PREFLIGHT_CHECKS):
            odd = sorted(set(ids) ^ set(PREFLIGHT_CHECKS)) or sorted(ids)
            raise ValueError(f"{odd[0]!r} is not judged exactly once")
        return self


class LoadedLimits(NamedTuple):
    """The limits and the digest of their file."""

    limits: Limits
    digest: str


def load_limits(path: Path = LIMITS) -> LoadedLimits:
    """Reads the file strictly. Raises `config.*`."""
    return LoadedLimits(Limits.from_dict(read_toml(path), str(path)), sha256_file(path))
