"""A loader beside a writer: each load gives a version that was legal at that time, whole and unmixed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

from tests.support.faults import torch_saver
from tests.support.faults.crashes import PYTHONPATH
from tests.support.faults.saver import DAMAGED


class Load(NamedTuple):
    version: int | None
    begun: float
    ended: float


class Save(NamedTuple):
    version: int
    begun: float
    acknowledged: float


class Race(NamedTuple):
    saves: list[Save]
    loads: list[Load]


def start(folder: Path, *arguments: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    argv = [sys.executable, torch_saver.__file__, str(folder), *arguments]
    pipes = {"stdout": stdout, "stderr": subprocess.PIPE}
    return subprocess.Popen(argv, env={"PYTHONPATH": PYTHONPATH}, text=True, **pipes)


def race(folder: Path, swaps: int, way: str) -> Race:
    """Saves a first version, and `swaps` more once another process loads again and again."""
    writer = start(folder, str(swaps + 1), "write", way)
    first = writer.stdout.readline()
    log = folder.with_name("loads.jsonl")
    with log.open("w") as stream:
        loader = start(folder, "0", "read", stdout=stream)
    while loader.poll() is None and log.stat().st_size == 0:
        time.sleep(0.01)
    writer.send_signal(signal.SIGUSR1)
    written, errors = writer.communicate(timeout=600)
    assert writer.returncode == 0, errors
    loader.terminate()
    _, errors = loader.communicate(timeout=60)
    assert loader.returncode == 0, errors
    return Race(
        [Save(*json.loads(line)) for line in (first + written).splitlines()],
        [Load(*json.loads(line)) for line in log.read_text().splitlines()],
    )


def wrong_loads(run: Race) -> list[str]:
    """Loads that were mixed, missing, older than what was acknowledged before them or newer than what was begun."""
    wrong = []
    for load in run.loads:
        oldest = max((save.version for save in run.saves if save.acknowledged <= load.begun), default=None)
        newest = max(save.version for save in run.saves if save.begun <= load.ended)
        if load.version is None or load.version == DAMAGED:
            wrong.append(f"{'missing' if load.version is None else 'damaged or mixed'} while {oldest} to {newest}")
        elif not (oldest or 0) <= load.version <= newest:
            wrong.append(f"version {load.version} while {oldest} to {newest}")
    return wrong


def overlapping(run: Race) -> int:
    """Saves during which a load was going on: those that the race is about."""
    return sum(any(load.begun < save.acknowledged and save.begun < load.ended for load in run.loads)
               for save in run.saves)  # fmt: skip
