"""Trainings of several ranks, started as a user starts them: torchrun, one process a rank, gloo on the CPU.

launch(...)          starts the launcher and returns at once
Launched             its processes: which pid is which rank, who still lives, what they said
run_launched(...)    to the end
run_module(...)      a test program of many cases on two ranks
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.tiny_run import ROOT, environment

from picochat.artifacts import layout
from picochat.views.runs.run_state import process_start

RANKS = 2
START_LIMIT_S = 60.0
TWO_MICRO_BATCHES: dict[str, Any] = {"micro_batch_size": 1}
"""Settings of the loop of `base_run` with which each of two ranks accumulates twice a step."""


class Ended(NamedTuple):
    """A launcher that has ended, and what its processes printed."""

    returncode: int
    output: str


class Launched:
    """A running launcher and the ranks below it."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process, self._output = process, output
        self._ranks: dict[int, int] = {}

    def pid(self, rank: int) -> int:
        """The process of a rank; waits until it exists."""
        wait_until(lambda: len(self._find()) == RANKS, "the ranks did not start")
        return self._find()[rank]

    def _find(self) -> dict[int, int]:
        if len(self._ranks) < RANKS:
            self._ranks = {rank: pid for pid, rank in _children(self.process.pid)}
        return self._ranks

    def signal(self, rank: int, number: signal.Signals) -> None:
        os.kill(self.pid(rank), number)

    def alive(self) -> list[int]:
        """Ranks whose process exists and is no zombie."""
        return [rank for rank, pid in sorted(self._find().items()) if process_start(pid) is not None]

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self, timeout_s: float = 120.0) -> Ended:
        """Waits for the launcher, and ends everything when it takes too long."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"the launcher did not end in {timeout_s:g} s:\n{self.output()[-3000:]}") from None
        return Ended(code, self.output())

    def end(self) -> None:
        """Kills whatever is left of it."""
        for pid in [*self._find().values(), self.process.pid]:
            if process_start(pid) is not None:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def seconds_until(self, done: Callable[[], bool], what: str, limit_s: float = 60.0) -> float:
        """How long it takes until `done`."""
        started = time.monotonic()
        wait_until(done, what, limit_s)
        return time.monotonic() - started


def launch(
    folder: Path, *argv: object, failpoint: str = "", ranks: int = RANKS, script: Path | None = None, **env: str
) -> Launched:
    """Starts `torchrun ... -m picochat.cli ARGV --ddp`; what it prints goes to a file in `folder`.

    `script` is started in place of each process, with the command as its arguments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"launch-{len(list(folder.glob('launch-*')))}.txt"
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
    launcher += ["--no-python", str(script), sys.executable] if script else []
    launcher += ["-m", "picochat.cli"]
    with output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, *launcher, *map(str, argv), "--ddp"],
            env=environment(failpoint, **env),
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Launched(process, output)


def run_launched(folder: Path, *argv: object, failpoint: str = "", timeout_s: float = 120.0, **env: str) -> Ended:
    """The same to its end."""
    return launch(folder, *argv, failpoint=failpoint, **env).wait(timeout_s)


def wait_until(done: Callable[[], bool], what: str, limit_s: float = START_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline, f"{what} within {limit_s:g} s"
        time.sleep(0.02)


def ledger_lines(root: Path, stage: str = layout.BASE) -> int:
    """Whole lines of a ledger so far."""
    path = root / stage / layout.LEDGER
    return path.read_bytes().count(b"\n") if path.exists() else 0


def log_of(root: Path, rank: int) -> str:
    path = root / layout.rank_log(rank)
    return path.read_text() if path.exists() else ""


def exit_code(root: Path, rank: int) -> int | None:
    """The exit code that a rank wrote into its log last."""
    found = re.findall(r"ends with exit code (\d+)", log_of(root, rank))
    return int(found[-1]) if found else None


def _children(parent: int) -> Iterator[tuple[int, int]]:
    """(pid, rank) of the processes below a launcher."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            continue
        rank = next((int(v.partition(b"=")[2]) for v in variables if v.startswith(b"RANK=")), None)
        if above == parent and rank is not None:
            yield int(entry.name), rank


def run_module(folder: Path, module: str, cases: list, timeout_s: float = 280.0) -> list:
    """A test program on two ranks: cases go in as JSON, results come out as JSON."""
    (folder / "cases.json").write_text(json.dumps(cases))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={RANKS}", "-m", module]
    done = subprocess.run(
        [sys.executable, *launcher, str(folder / "cases.json"), str(folder / "result.json")],
        cwd=ROOT,
        env=environment() | {"PYTHONPATH": f"{environment()['PYTHONPATH']}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "result.json").read_text())
