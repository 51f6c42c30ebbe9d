"""The process around one command of the workbench: starts it, waits, and writes down how it ended.

    python -m picochat.workbench.commands.supervise FOLDER      reads the record there once it gets a line on its input

A signal that it gets reaches the command and whatever the command started, while it stays to see the end. A server
that is started again thus knows how a command of an earlier one ended.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from picochat.artifacts import layout
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.jsonio import read_json
from picochat.core.subprocesses import run_logged

PROGRAM = ("-m", "picochat.cli")
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Nothing is started when the input ends without a line: whoever asked for it is gone."""
    if not sys.stdin.buffer.read(1):
        return 1
    folder = Path(argv[0])
    words = read_json(folder / layout.PROCESS)["argv"]
    started_s = time.monotonic()
    code = run_logged([sys.executable, *PROGRAM, *words], folder / layout.PROCESS_OUTPUT, PASSED_ON)
    ended = {"code": code, "ended_at": utc_now(), "duration_s": round(time.monotonic() - started_s, 3)}
    fs.write_json(folder / layout.PROCESS_EXIT, ended)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
