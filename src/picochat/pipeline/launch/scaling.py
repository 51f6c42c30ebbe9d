"""The same recipe on this machine, on one GPU and on eight: the command that plans it, and the one that starts it.

Every placeholder is filled with what the run's record says; nothing of it is started from here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Literal, NamedTuple

from picochat.pipeline.plan.cards import CPU

Where = Literal["local", "one_gpu", "eight_gpus"]
PLACES: tuple[tuple[Where, str, int], ...] = (
    ("local", "This machine", 1),
    ("one_gpu", "One GPU", 1),
    ("eight_gpus", "Eight GPUs", 8),
)


class ScaleUp(NamedTuple):
    """One place. `plan` costs nothing and says what the run will need there; `start` is for whoever sits there."""

    where: Where
    title: str
    gpus: int
    plan: str
    preflight: str | None
    """None without a run: there is nothing to judge yet."""
    start: str


def scale_up(
    profile: str, settings: Mapping[str, str], card: str, *, run: str | None = None, folder: str | None = None
) -> list[ScaleUp]:
    """The three places for a profile with settings (as `--set` takes them), or for a run of it.

    `folder` is where the run lies, as a command takes it; without one the run gets a folder of its own.
    """
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    found = []
    for where, title, gpus in PLACES:
        fleet = f"{gpus}x{CPU if where == 'local' else card}"
        plan = shlex.join(["picochat", "plan", profile, "--gpus", fleet, *changes])
        preflight = shlex.join(["picochat", "preflight", run, "--gpus", fleet]) if run else None
        place = ["--out-dir", folder, "--resume"] if folder else ["--out-dir", f"runs/{profile}-{gpus}x"]
        words = ["run", profile, *place, *(["--ddp"] if gpus > 1 else []), *changes]
        found.append(ScaleUp(where, title, gpus, plan, preflight, shlex.join([*_program(gpus), *words])))
    return found


def _program(gpus: int) -> list[str]:
    if gpus == 1:
        return ["picochat"]
    return ["torchrun", "--standalone", f"--nproc_per_node={gpus}", "-m", "picochat.cli"]
