"""Named places where a test may make the process die, stop or fail.

Armed once, by the command line or the distributed environment, from `NAME:ACTION[@N]`: ACTION is taken at pass N.
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
FILE_POINTS = ("file.before_publish",)
VALUE_POINTS = ("guard.value",)
"""Where a number passes by that a test may spoil with the action `nan`."""
POINTS = frozenset(SAVE_POINTS + STEP_POINTS + FILE_POINTS + VALUE_POINTS)
ACTIONS = frozenset({"sigkill", "sigstop", "exit", "raise", "eio", "enospc", "sleep", "nan"})

_armed: dict[str, list] = {}


def arm(spec: str) -> None:
    """Arms points from a comma-separated specification. Raises `failpoint.name` on an unknown name or action."""
    for part in filter(None, spec.split(",")):
        name, _, rest = part.partition(":")
        action, _, count = rest.partition("@")
        known = name in POINTS and action in ACTIONS and (action != "nan" or name in VALUE_POINTS)
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
        case _:
            raise RuntimeError(f"failpoint {name}")
