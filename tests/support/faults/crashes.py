"""What must hold after any crash of a saver, and the campaign that kills it at random instants."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.support.faults import saver
from tests.support.faults.saver import DAMAGED, NAME, Found

import picochat

ROOT = Path(__file__).parents[3]
PYTHONPATH = f"{Path(picochat.__path__[0]).parent}:{ROOT}"
KEPT = {NAME, f"{NAME}.previous", ".lock"}
Argv = Callable[[int], list[str]]
"""The command of a saver whose first version is given."""
LONGEST_WAIT_S = 0.12
"""Several saves fit in, so that a kill falls anywhere in one."""


class Saver:
    """A running saver; `found` is what it saw at its start."""

    def __init__(self, argv: list[str], **options) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(argv, env={"PYTHONPATH": PYTHONPATH}, text=True, **pipes, **options)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the saver ended at once: {self.process.communicate()[1]}")
        self.found = Found(**json.loads(line))

    def kill(self) -> list[str]:
        """SIGKILL from outside; returns the lines that it had written."""
        self.process.kill()
        return self.end()

    def end(self) -> list[str]:
        out, self.errors = self.process.communicate(timeout=60)
        return out.split()


def saver_argv(folder: Path, writer: str, version: int, mode: str) -> list[str]:
    return [sys.executable, saver.__file__, str(folder), writer, str(version), mode]


class Promise(NamedTuple):
    """What a way of writing promises beside the old or the new version after a resume."""

    always_named: bool = True
    """A reader never comes while the name is missing."""
    keeps_previous: bool = True


PROMISES = {"exchange": Promise(), "rename": Promise(always_named=False)}
BAD_PROMISE = Promise(always_named=False, keeps_previous=False)
"""As little as possible is asked of a bad writer, so that it is its crash that turns a campaign red."""


def breaches(found: Found, acknowledged: int, begun: int, version: int, promise: Promise) -> list[str]:
    """What is wrong after a crash: at least version `acknowledged` was safe, at most version `begun` was written.

    `version` is the save after the crash. `acknowledged` is 0 when there was no save before.
    """
    legal = set(range(acknowledged, begun + 1)) - {0} | ({None} if acknowledged == 0 else set())
    wrong = []
    if found.seen not in legal and (promise.always_named or found.seen is not None):
        wrong.append(f"a reader finds {_named(found.seen)}")
    if found.recovered not in legal:
        wrong.append(f"a resume finds {_named(found.recovered)}")
    if found.saved != version:
        wrong.append(f"the next save leaves {_named(found.saved)}")
    if promise.keeps_previous and found.previous != found.recovered:
        wrong.append(f"the next save leaves {_named(found.previous)} as the previous one")
    if litter := set(found.names) - KEPT:
        wrong.append(f"litter: {', '.join(sorted(litter))}")
    legal_text = f"acknowledged {acknowledged}, begun {begun}"
    return [f"{text} ({legal_text}, next {version})" for text in wrong]


def _named(version: int | None) -> str:
    return {None: "nothing", DAMAGED: "a damaged folder"}.get(version, f"version {version}")


class Kills(NamedTuple):
    rounds: int
    in_save: int
    """Kills that left something to recover or a save that was not acknowledged: they hit a save, not a pause."""
    breaches: list[str]


def kill_rounds(argv: Argv, rounds: int, seed: int, promise: Promise, *, until_red: bool = False) -> Kills:
    """Starts a saver, kills it at a random instant after its first acknowledgement, looks with a fresh process; again.

    `until_red` stops at the first breach.
    """
    instants = random.Random(seed)
    wrong: list[str] = []
    in_save, version = 0, 1
    running = Saver(argv(version))
    for number in range(rounds):
        time.sleep(instants.uniform(0, LONGEST_WAIT_S))
        lines = running.kill()
        acknowledged = int(lines[-1]) if lines else version
        version = acknowledged + 2
        running = Saver(argv(version))
        found = running.found
        in_save += bool(found.swept or found.recovered != acknowledged)
        new = breaches(found, acknowledged, acknowledged + 1, version, promise)
        wrong += [f"kill {number} of seed {seed}: {text}" for text in new]
        if wrong and until_red:
            break
    running.kill()
    return Kills(number + 1, in_save, wrong)
