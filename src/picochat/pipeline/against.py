"""What a run's configuration is set against: its profile as it is now, or the run that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.core.config import flatten
from picochat.core.errors import refuse
from picochat.pipeline.profiles import load_profile
from picochat.views.runs.config_difference import Side
from picochat.views.runs.run_files import text_at


def profile_side(record: Mapping[str, Any]) -> Side:
    """The profile that run.json names, as this version has it. Raises `config.value` where it has none of that name."""
    name = text_at(record, "profile")
    if name is None:
        refuse("config.value", f"{layout.RUN} names no profile", fix="compare it with another run")
    values = flatten(load_profile(name).build().as_dict())
    return Side(f"profile {name}", values, dict.fromkeys(values, f"profile {name}"))


def parent_run(record: Mapping[str, Any]) -> Path | None:
    """The run whose checkpoint this one began with: the trunk of a branch, or the base of an SFT of its own.

    None where it began by itself, or with a checkpoint that lies in no run.
    """
    named = text_at(record, "config", "base", "branch") or text_at(record, "config", "sft", "base")
    folders = Path(named).parents if named else ()
    return next((folder for folder in folders if (folder / layout.RUN).is_file()), None)
