"""Gate profiles: versioned TOML files of thresholds. Which file is genuine is known by its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from picochat.core.config import Config, read_toml
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_file
from picochat.judgement.registry import CHECKS, LATEST_VERSION, PROFILE_DIGESTS, PROFILE_NAMES

PROFILES = Path(__file__).parent / "profiles"

Column = Literal["block", "block_if_present", "warn", "shown"]


class ProfileCheck(Config):
    """One row of a profile: how far a check may go, its threshold and the least number of trials."""

    id: str
    column: Column
    threshold: float | None = None
    """None where the check brings its own (a baseline, a benchmark's table)."""
    warn_at: float | None = None
    """A stricter threshold: what misses it warns."""
    warn_below: float | None = None
    """For a number that is good when it is low: so low that it says nothing, and warns."""
    minimum_n: int = Field(default=0, ge=0)
    baseline: Literal["bigram", "trigram"] | None = None


class Profile(Config):
    """A versioned set of thresholds. What a version lacks stands in `not_judged`, never passed in silence."""

    name: str
    version: int = Field(ge=1)
    not_judged: list[str]
    checks: list[ProfileCheck]

    @model_validator(mode="after")
    def _each_check_once(self) -> Self:
        ids = [check.id for check in self.checks]
        if unknown := sorted(set(ids) - set(CHECKS)):
            raise ValueError(f"unknown check {unknown[0]!r}")
        missing = sorted(set(CHECKS) - set(ids) - set(self.not_judged))
        if missing and self.version == LATEST_VERSION:  # older ones do not know what came after them
            raise ValueError(f"{missing[0]!r} is neither judged nor listed as not judged")
        if len(set(ids)) != len(ids):
            raise ValueError("a check stands twice")
        return self


class LoadedProfile(NamedTuple):
    """A profile, its file's digest, and whether these are the bytes published under this name and version."""

    profile: Profile
    digest: str
    genuine: bool


def load_profile(name: str, folder: Path = PROFILES, version: int = LATEST_VERSION) -> LoadedProfile:
    """Reads a profile strictly: `NAME.toml`, or `NAME.2.toml` for an older version.

    Raises `gate.profile` for an unknown name or version, `config.*` for a broken file.
    """
    if name not in PROFILE_NAMES:
        refuse("gate.profile", f"{name!r} is no gate profile: {', '.join(PROFILE_NAMES)}")
    path = folder / (f"{name}.toml" if version == LATEST_VERSION else f"{name}.{version}.toml")
    if not path.is_file():
        refuse("gate.profile", f"{name!r} has no version {version}; the newest is {LATEST_VERSION}")
    profile = Profile.from_dict(read_toml(path), str(path))
    digest = sha256_file(path)
    genuine = (
        profile.name == name and profile.version == version and PROFILE_DIGESTS.get((name, profile.version)) == digest
    )
    return LoadedProfile(profile, digest, genuine)
