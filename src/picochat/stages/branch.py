"""A branch: a training that shares its beginning with a longer one and goes on from its checkpoint.

With a rate that stays flat before it falls (the schedule `wsd`), two trainings that differ in their length alone take
the same steps until the shorter one begins to cool down. So the shorter one may start from a checkpoint of the longer
one and still be, to the bit, the training that it would have been from its own start. That is proved before anything
is restored: every condition is the same, and so is the rate of every step so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.checkpoint.fingerprint import compare_fingerprints
from picochat.core import fs
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import canonical_json
from picochat.training.ledger import require_every_step, spliced
from picochat.training.schedule import lr_factor

OWN = frozenset({"loop.tokens", "loop.warmup_frac", "inputs.trunk", "inputs.prediction"})
"""Conditions that a branch may have of its own: its length, and what was recorded beside it."""


@dataclass(frozen=True)
class Trunk:
    """The checkpoint that a branch begins with, and the ledger of the steps before it."""

    checkpoint: Path
    ledger: Path
    digest: str
    """Of the checkpoint's manifest, which names every other file of it by digest."""


def open_trunk(record: StageRecord, folder: str) -> Trunk:
    """Hashes the checkpoint and the ledger of its training and adds them to the inputs. Raises `artifact.missing`."""
    checkpoint = Path(folder)
    parent = checkpoint.parent.parent if checkpoint.parent.name == layout.KEPT else checkpoint.parent
    manifest, ledger = checkpoint / layout.CKPT_MANIFEST, parent / layout.LEDGER
    for path in (manifest, ledger):
        if not path.is_file():
            refuse("artifact.missing", f"{path} does not exist (base.branch)")
    for path in sorted(path for path in checkpoint.iterdir() if path.is_file()):
        record.add_input("trunk_checkpoint", path)
    record.add_input("trunk_ledger", ledger)
    return Trunk(checkpoint, ledger, sha256_file(manifest))


def require_branch(saved: Mapping[str, Any], own: Mapping[str, Any], step: int) -> None:
    """Whether a training with the conditions `own` has the first `step` steps of the `saved` one.

    Raises `branch.conditions` with what differs, or with the first step of another rate.
    """
    differing = [d for d in compare_fingerprints(saved, own) if d.field not in OWN]
    if differing:
        rows = "; ".join(f"({d.field}, trunk {d.saved!r}, branch {d.now!r})" for d in differing)
        refuse("branch.conditions", f"{len(differing)} conditions differ from those of the trunk: {rows}")
    steps = _count_steps(own)
    if step >= steps:
        refuse("branch.conditions", f"the checkpoint has taken {step:,} steps, the branch is planned with {steps:,}")
    for number in range(step):
        theirs, mine = _rate(saved, number), _rate(own, number)
        if theirs != mine:
            refuse(
                "branch.conditions",
                f"step {number + 1:,} of the trunk had {theirs:.6g} of the peak rate, the branch would have {mine:.6g}",
            )


def copy_ledger(trunk: Trunk, step: int, path: Path) -> None:
    """The trunk's steps up to the checkpoint, as the branch's own. Raises `training.ledger` when one is missing."""
    lines = [line for line in spliced(trunk.ledger) if line["step"] <= step]
    fs.write_atomic(path, b"".join(canonical_json(line) + b"\n" for line in lines))
    require_every_step(path, step)


def _count_steps(fingerprint: Mapping[str, Any]) -> int:
    return max(1, fingerprint["loop"]["tokens"] // fingerprint["tokens_per_step"])


def _rate(fingerprint: Mapping[str, Any], step: int) -> float:
    """Share of the peak rate in a step, by the conditions of a training."""
    loop, steps = fingerprint["loop"], _count_steps(fingerprint)
    return lr_factor(step, steps, round(loop["warmup_frac"] * steps), loop["schedule"], loop["final_frac"])
