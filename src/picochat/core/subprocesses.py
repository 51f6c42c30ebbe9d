"""Child processes: argv lists only, a chosen environment, output captured, a time limit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Finished(NamedTuple):
    """How a command ended: its exit code (None: it could not be started, or took too long) and what it said."""

    code: int | None
    output: bytes
    complaint: str
    """The last line of standard error, or why there was no command."""


def run_with_input(argv: Sequence[str], data: bytes, *, cwd: Path | None = None, timeout_s: float = 600.0) -> Finished:
    """Runs a command on `data` as its standard input."""
    try:
        done = subprocess.run(argv, cwd=cwd, input=data, capture_output=True, timeout=timeout_s, check=False)
    except OSError as err:
        return Finished(None, b"", str(err))
    except subprocess.TimeoutExpired:
        return Finished(None, b"", f"not done after {timeout_s:,.0f} s")
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return Finished(done.returncode, done.stdout, said[-1] if said else f"exit code {done.returncode}")


def run_quiet(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 10.0
) -> str | None:
    """Standard output of a short command, or None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
