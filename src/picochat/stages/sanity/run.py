"""All proofs in turn, in a folder that is removed at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts.checks import CheckResult
from picochat.core.progress import Progress, SilentProgress
from picochat.stages.sanity.boundaries import prove_boundaries, prove_chat_mask
from picochat.stages.sanity.building import Workplace
from picochat.stages.sanity.cache import prove_cache
from picochat.stages.sanity.config import SanityConfig
from picochat.stages.sanity.material import open_material
from picochat.stages.sanity.numerics import prove_accumulation, prove_precision
from picochat.stages.sanity.resume import prove_resume
from picochat.stages.sanity.saving import prove_saving
from picochat.stages.sanity.sharding import prove_shards
from picochat.stages.sanity.verdicts import not_run
from picochat.training.machine import build_machine


class Findings(NamedTuple):
    """The results in order, what is claimed of a resume here, and the machine that it is true of."""

    checks: list[CheckResult]
    claim: str
    machine: dict[str, Any]


def run(config: SanityConfig, progress: Progress | None = None) -> Findings:
    """Tries everything that this version can; what it cannot is in the list as not run. Raises `device.*`."""
    progress = progress or SilentProgress()
    machine = build_machine(config.machine)
    with tempfile.TemporaryDirectory(prefix="picochat-sanity-") as folder:
        progress.stage("material", config.run or "made text")
        place = Workplace(open_material(config), machine, Path(folder))
        progress.stage("resume", "train, save, go on in another process")
        resumed, claim = prove_resume(place)
        checks = [resumed]
        for name, title, prove in PROOFS:
            progress.stage(name, title)
            checks += prove(place)
    return Findings(checks + missing(), claim, machine.facts())


PROOFS: tuple[tuple[str, str, Callable[[Workplace], list[CheckResult]]], ...] = (
    ("cache", "generation with and without the cache", prove_cache),
    ("precision", "the chosen precision and float32", prove_precision),
    ("accumulation", "one batch and micro-batches", lambda place: [prove_accumulation(place)]),
    ("checkpoint", "save, load, compare, flip bits", prove_saving),
    ("boundaries", "documents in one row", prove_boundaries),
    ("shards", "rows from shards and from memory", lambda place: [prove_shards(place)]),
    ("chat", "targets of conversations", lambda place: [prove_chat_mask(place)]),
)


def missing() -> list[CheckResult]:
    """What a long job needs as well and this version does not have."""
    return [
        not_run("sanity.ranks", "sanity runs in one process; a training on several ranks compares its replicas itself"),
    ]
