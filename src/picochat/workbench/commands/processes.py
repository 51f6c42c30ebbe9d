"""Commands that the workbench starts: `picochat` and its words, recorded beside the runs, alive without the server.

    start(words) -> .picochat/processes/<id>/process.json -> supervisor -> the command -> output.log, exit.json

The record is on disk before the command begins. A process is known by its number and the time it started, so a number
that was given to another process is never taken for it, and never signalled.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from picochat.artifacts import layout
from picochat.core import fs
from picochat.core.clock import utc_now
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import read_json
from picochat.core.redact import redact, redact_tree
from picochat.core.subprocesses import Detached
from picochat.core.terminal import plain_text
from picochat.distributed.env import child_environment
from picochat.views.runs.run_state import process_start

SUPERVISOR = "picochat.workbench.commands.supervise"
MOST_AT_ONCE = 4
MOST_LISTED = 200
MOST_OUTPUT_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 16
"""A line that is not ended yet is held back up to so much: a secret is masked whole or not at all."""
COMMAND = re.compile(r"[a-z][a-z-]{0,31}")
_KEY_BEGINS = re.compile(rb"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----")
_KEY_ENDS = re.compile(rb"-----END [A-Z ]{0,32}PRIVATE KEY-----")

State = Literal["running", "finished", "lost", "unreadable"]


class Process(NamedTuple):
    """One command. None is unknown; of one that is `lost` nobody knows how it ended, as after a power cut."""

    id: str
    state: State
    title: str
    run: str | None
    argv: tuple[str, ...]
    """The words after `picochat`."""
    started_at: str | None
    ended_at: str | None
    duration_s: float | None
    exit_code: int | None
    signal: int | None
    """The number of the signal that ended it."""
    pid: int | None
    """Of the supervisor, which passes a signal on."""
    process_started: int | None

    def to_json(self) -> dict[str, Any]:
        """As the API answers; `command` is what a person types for the same."""
        body = self._asdict() | {"argv": list(self.argv), "command": command_text(self.argv)}
        del body["pid"], body["process_started"]
        return redact_tree(body)


class Output(NamedTuple):
    """A piece of what a command said: plain text, secrets masked. `next_offset` asks for what follows."""

    offset: int
    next_offset: int
    total_bytes: int
    text: str
    state: State
    exit_code: int | None


def command_text(argv: Sequence[str]) -> str:
    """The line that does the same in a terminal."""
    return shlex.join(["picochat", *argv])


def plain_value(value: str, what: str) -> str:
    """A value from outside as one word of a command. Raises `process.value` for what could be an option, or is none."""
    if not value or value.startswith("-") or not value.isprintable():
        refuse("process.value", f"{what} is {value[:80]!r}")
    return value


class Processes:
    """What one runs folder knows of its commands. Safe to call from several threads."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._root = runs / layout.DESK / layout.DESK_PROCESSES
        self._starting = threading.Lock()

    def start(self, argv: Sequence[str], *, run: str | None, title: str) -> Process:
        """Starts `picochat ARGV`, for example `["gate", "demo-1"]`. Values from requests go through `plain_value`.

        Raises `process.value` for words that are none, `process.busy` when as many as may run at once already do.
        """
        words = list(argv)
        if not words or not COMMAND.fullmatch(words[0]) or any("\0" in word for word in words):
            refuse("process.value", f"{shlex.join(words)[:80]} is no command of picochat")
        with self._starting:
            running = sum(process.state == "running" for process in self.list())
            if running >= MOST_AT_ONCE:
                refuse("process.busy", f"{running} commands are running, at most {MOST_AT_ONCE} may at once")
            return self._start(words, run, title)

    def _start(self, words: Sequence[str], run: str | None, title: str) -> Process:
        name = f"{re.sub('[^0-9]', '', utc_now())}-{secrets.token_hex(4)}"
        folder = self._root / name
        fs.make_dir(folder)
        environment = child_environment({"PICOCHAT_RUNS": str(self._runs.absolute())})
        child = Detached([sys.executable, "-m", SUPERVISOR, str(folder.absolute())], environment)
        record = {"title": title, "run": run, "argv": [*words], "started_at": utc_now()}
        recorded = False
        try:
            process = {"pid": child.pid, "process_started": process_start(child.pid)}
            fs.write_json(folder / layout.PROCESS, record | process)
            recorded = True
        finally:
            child.release(go=recorded)
        return self.read(name)

    def read(self, name: str) -> Process:
        """One command. Raises `artifact.missing` when there is none of that id."""
        folder = self._root / name
        if "/" in name or name.startswith(".") or not _is(folder, stat.S_ISDIR):
            refuse("artifact.missing", f"there is no command {name[:80]!r}")
        record = _read(folder / layout.PROCESS)
        ended = _read(folder / layout.PROCESS_EXIT)
        argv = record.get("argv")
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            return Process(name, "unreadable", "", None, (), *[None] * 7)
        pid, started, code = record.get("pid"), record.get("process_started"), ended.get("code")
        alive = isinstance(pid, int) and started is not None and process_start(pid) == started
        known = isinstance(code, int)
        return Process(
            name,
            "finished" if known else "running" if alive else "lost",
            str(record.get("title", "")),
            record.get("run") if isinstance(record.get("run"), str) else None,
            tuple(argv),
            record.get("started_at"),
            ended.get("ended_at"),
            ended.get("duration_s"),
            code if known and code >= 0 else None,
            -code if known and code < 0 else None,
            pid,
            started,
        )

    def list(self, run: str | None = None) -> list[Process]:
        """The newest commands, the newest first; of one run when it is named."""
        try:
            names = sorted((path.name for path in self._root.iterdir()), reverse=True)
        except OSError:
            return []
        folders = [name for name in names if not name.startswith(".") and _is(self._root / name, stat.S_ISDIR)]
        found = [self.read(name) for name in folders[:MOST_LISTED]]
        return [process for process in found if run in (None, process.run)]

    def output(self, name: str, offset: int = 0) -> Output:
        """What a command said from a byte on, at most 1 MiB, cut where a line ends. Raises `artifact.missing`."""
        process = self.read(name)  # before the file: what ended by then has said everything
        data, total = _read_piece(self._root / name / layout.PROCESS_OUTPUT, offset)
        final = process.state != "running" and offset + len(data) >= total
        kept = data if final else _whole(data)
        text = redact(plain_text(kept.decode(errors="replace")))
        return Output(offset, offset + len(kept), total, text, process.state, process.exit_code)

    def cancel(self, name: str) -> Process:
        """Asks a command and what it started to end, as Ctrl-C does: a run saves a checkpoint first.

        Raises `artifact.missing`, and `process.ended` for one that runs no more.
        """
        process = self.read(name)
        if process.state != "running" or process.pid is None:
            refuse("process.ended", f"the command is {process.state}")
        try:
            os.kill(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            refuse("process.ended", "the command has just ended")
        return process


def _read_piece(path: Path, offset: int) -> tuple[bytes, int]:
    """At most MOST_OUTPUT_BYTES from an offset, and the size of the file; nothing of what is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b"", 0
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return b"", 0
        stream.seek(min(max(offset, 0), found.st_size))
        return stream.read(MOST_OUTPUT_BYTES), found.st_size


def _whole(data: bytes) -> bytes:
    """As much of a piece as can be masked on its own: whole lines, and no private key without its end."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if end == 0 and len(data) >= LONGEST_LINE_BYTES:
        end = len(data)
    closed = max((found.end() for found in _KEY_ENDS.finditer(data, 0, end)), default=0)
    begins = _KEY_BEGINS.search(data, closed, end)
    if begins and len(data) - begins.start() < LONGEST_LINE_BYTES:
        end = begins.start()
    return data[:end]


def _read(path: Path) -> dict[str, Any]:
    if not _is(path, stat.S_ISREG):
        return {}
    try:
        found = read_json(path)
    except PicochatError:
        return {}
    return found if isinstance(found, dict) else {}


def _is(path: Path, kind: Any) -> bool:
    """Whether the path itself is of a kind; a link is none."""
    try:
        return bool(kind(path.lstat().st_mode))
    except (OSError, ValueError):
        return False
