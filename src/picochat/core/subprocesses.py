"""Child processes: argv lists only, a chosen environment, output captured, a time limit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Finished(NamedTuple):
    """How a command ended. `code` None: it could not be started, or took too long."""

    code: int | None
    output: str
    errors: str


def run_finished(argv: Sequence[str], *, data: bytes = b"", cwd: Path | None = None, timeout_s: float) -> Finished:
    """Runs a command to its end with `data` on its standard input, and keeps what it says."""
    try:
        done = subprocess.run(argv, input=data, cwd=cwd, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return Finished(None, "", f"no answer within {timeout_s:.0f} s")
    except OSError as err:
        return Finished(None, "", f"{argv[0]}: {err.strerror}")
    return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def run_quiet(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 10.0
) -> str | None:
    """Standard output of a short command, or None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
