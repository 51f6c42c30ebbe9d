"""Named places where a test may make the process die, stop or fail.

Armed once, by the command line, from `NAME:ACTION[@N][#RANK]`: ACTION is taken at pass N, on one rank or on all.
Without an armed point a pass costs one look into an empty dict.
"""

from __future__ import annotations

import errno
import math
import os
import signal
import time

from picochat.core.errors import refuse

SAVE_POINTS = (
    "ckpt.after_mkdir",
    "ckpt.after_file",
    "ckpt.before_manifest",
    "ckpt.after_manifest",
    "ckpt.after_dir_fsync",
    "ckpt.after_exchange_1",
    "ckpt.after_exchange_2",
    "ckpt.after_rename_1",
    "ckpt.after_rename_2",
    "ckpt.after_rename_3",
    "ckpt.before_ack",
    "ckpt.mid_trash",
)
STEP_POINTS = ("step.mid_accumulation", "step.after_backward", "step.before_optimizer", "step.after_optimizer")
FILE_POINTS = ("file.before_publish", "folder.before_publish")
DATA_POINTS = ("data.after_piece", "data.after_shard")
IMPORT_POINTS = ("import.after_part",)
LAUNCH_POINTS = ("launch.before_exec",)
RANK_POINTS = ("setup.beat", "setup.alone", "ckpt.slice", "ckpt.between_ranks")
VALUE_POINTS = ("guard.value", "replica.weights")
"""Where something passes by that a test may spoil: a number with `nan`, a tensor with `flip_bit`."""
SPOILING = {"nan": "guard.value", "flip_bit": "replica.weights"}
POINTS = frozenset(
    SAVE_POINTS + STEP_POINTS + FILE_POINTS + DATA_POINTS + IMPORT_POINTS + LAUNCH_POINTS + RANK_POINTS + VALUE_POINTS
)
ACTIONS = frozenset({"sigkill", "sigstop", "exit", "raise", "eio", "enospc", "sleep", "nap", *SPOILING})

_armed: dict[str, list] = {}


def arm(spec: str, rank: int = 0) -> None:
    """Arms points from a comma-separated specification; one that ends in `#R` is armed on rank R alone.

    Raises `failpoint.name` on an unknown name or action.
    """
    for part in filter(None, spec.split(",")):
        point, _, only = part.partition("#")
        if only and only != str(rank):
            continue
        name, _, rest = point.partition(":")
        action, _, count = rest.partition("@")
        known = name in POINTS and action in ACTIONS and SPOILING.get(action, name) == name
        if not known or not _is_pass(count or "1"):
            refuse("failpoint.name", f"{part!r} is no failpoint: a name of {len(POINTS)} and one of {sorted(ACTIONS)}")
        _armed[name] = [action, int(count or 1)]


def _is_pass(count: str) -> bool:
    return count.isdecimal() and int(count) > 0


def armed() -> list[str]:
    """The armed points, for the run's record: a run with one can never be released."""
    return sorted(_armed)


def disarm() -> None:
    _armed.clear()


def failpoint(name: str) -> None:
    """Takes the armed action when this pass is the one that was asked for."""
    if action := _due(name):
        _act(action, name)


def spoil(name: str, value: float) -> float:
    """`value`, or NaN at the pass that was armed with `nan`; any other action is taken."""
    action = _due(name)
    if action == "nan":
        return math.nan
    if action:
        _act(action, name)
    return value


def flips(name: str) -> bool:
    """Whether a bit is to be flipped at this pass; any other action is taken."""
    action = _due(name)
    if action not in (None, "flip_bit"):
        _act(action, name)
    return action == "flip_bit"


def _due(name: str) -> str | None:
    """The armed action, at the pass that was asked for."""
    if name not in _armed:
        return None
    entry = _armed[name]
    entry[1] -= 1
    return entry[0] if entry[1] == 0 else None


def _act(action: str, name: str) -> None:
    match action:
        case "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sigstop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "exit":
            os._exit(1)
        case "eio":
            raise OSError(errno.EIO, f"failpoint {name}")
        case "enospc":
            raise OSError(errno.ENOSPC, f"failpoint {name}")
        case "sleep":
            time.sleep(30)
        case "nap":
            time.sleep(6)
        case _:
            raise RuntimeError(f"failpoint {name}")
