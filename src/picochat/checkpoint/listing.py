"""The checkpoints of a run, one row a folder, and the folders that a crash left beside them (torch-free).

list_checkpoints   every named checkpoint, with its manifest or what is wrong with it
list_leftovers     folders that no reader ever takes for a checkpoint, and why they lie there
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core.confined import stat_below
from picochat.core.errors import PicochatError
from picochat.core.fs import TMP_PREFIX
from picochat.core.publish import BROKEN_PREFIX, TRASH_PREFIX

STAGES = (layout.BASE, layout.SFT)
ROLES = {layout.CHECKPOINT: "last", layout.CHECKPOINT_PREVIOUS: "previous", layout.BEST: "best"}
KEPT = "kept"
_LEFT = {
    TMP_PREFIX: "a save that is at work, or did not end: the next save takes it away",
    TRASH_PREFIX: "an older copy on its way out: the next save takes it away",
    BROKEN_PREFIX: "a copy that failed its proof at a resume, set aside to be looked at",
}


class ListedCheckpoint(NamedTuple):
    """A folder under a checkpoint's name. Exactly one of `manifest` and `problem` says something."""

    folder: str
    stage: str
    role: str
    """last, previous, best or kept."""
    manifest: CheckpointManifest | None
    problem: str
    """The reason code and what was found."""


class Leftover(NamedTuple):
    """A folder below a stage that is no checkpoint."""

    folder: str
    why: str


def list_checkpoints(
    store: RunStore, look: Callable[[Path], CheckpointManifest] = check_checkpoint_files
) -> list[ListedCheckpoint]:
    """The checkpoints of base, then of sft. `look` proves a folder, or raises what is wrong with it."""
    return [_look(store, folder, look) for folder in store.checkpoint_folders()]


def list_leftovers(store: RunStore) -> list[Leftover]:
    """What saves and resumes left beside the checkpoints, by name."""
    found = []
    for stage in STAGES:
        for name in _folders(store.root, stage):
            why = next((why for prefix, why in _LEFT.items() if name.startswith(prefix)), None)
            if why is not None:
                found.append(Leftover(f"{stage}/{name}", why))
    return found


def _look(store: RunStore, folder: str, look: Callable[[Path], CheckpointManifest]) -> ListedCheckpoint:
    stage, _, name = folder.partition("/")
    role = ROLES.get(name, KEPT)
    try:
        return ListedCheckpoint(folder, stage, role, look(store.path(folder)), "")
    except PicochatError as err:
        return ListedCheckpoint(folder, stage, role, None, f"{err.code}: {err.detail}")


def _folders(root: Path, stage: str) -> list[str]:
    seen = stat_below(root, stage)
    if seen is None or not stat.S_ISDIR(seen.st_mode):
        return []
    try:
        with os.scandir(root / stage) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
