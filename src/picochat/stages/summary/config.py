"""Configuration of the summary stage."""

from __future__ import annotations

from typing import Literal

from picochat.core.config import Config


class SummaryConfig(Config):
    """Under which thresholds a run is judged."""

    gate_profile: Literal["research", "first_release", "skill_release"] = "research"
    """research asks for integrity; the release profiles ask for quality as well."""
