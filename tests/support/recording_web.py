"""`picochat web` whose launches go to a machine that only writes down what it would start.

    python -m tests.support.recording_web RUNS FILE       prints the link; FILE gets a line a start

recording(runs)             the process, as a test uses it
starts(process)             what it would have started
let_pass(process, 301)      moves its clock
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.support.launch_room import RecordingMachine
from tests.support.tiny_run import ROOT, environment
from tests.support.web_process import WebProcess, held

FILE = "starts.jsonl"
LATER = "seconds-later"
"""Beside the runs: how far the server's clock goes before this machine's."""


def recording(runs: Path) -> AbstractContextManager[WebProcess]:
    """A server of its own process on a free port, ended after use."""
    env = environment()
    env["PYTHONPATH"] = f"{env['PYTHONPATH']}{os.pathsep}{ROOT}"
    popen = subprocess.Popen(
        [sys.executable, "-m", "tests.support.recording_web", str(runs), str(runs.parent / FILE)],
        cwd=runs.parent,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return held(popen, runs)


def starts(process: WebProcess) -> list[dict[str, Any]]:
    """What would have been started."""
    path = process.runs.parent / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def let_pass(process: WebProcess, seconds: float) -> None:
    """Lets confirmations of that server grow older."""
    path = process.runs.parent / LATER
    before = float(path.read_text()) if path.exists() else 0.0
    path.write_text(str(before + seconds))


class ShiftedClock:
    """This machine's clock, and what a test added to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def monotonic(self) -> float:
        return time.monotonic() + (float(self._path.read_text()) if self._path.exists() else 0.0)


def main(argv: list[str]) -> None:
    from picochat.workbench.bench import Workbench
    from picochat.workbench.door.sessions import Sessions
    from picochat.workbench.server import bind, serve_forever

    machine = RecordingMachine(Path(argv[1]))
    listener = bind("127.0.0.1", 0)
    sessions = Sessions(listener.getsockname()[1])
    runs = Path(argv[0])
    clock = ShiftedClock(runs.parent / LATER)
    bench = Workbench(runs, clock=clock, sessions=sessions, make_provider=lambda plan, store: machine)
    print(f"picochat web: http://127.0.0.1:{sessions.port}/#token={sessions.token}", flush=True)
    serve_forever(listener, bench)


if __name__ == "__main__":
    main(sys.argv[1:])
