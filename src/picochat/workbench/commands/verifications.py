"""Verifications that the workbench started: how they stand, what they found, and which files they speak of.

Which bytes a verify saw is known by the stamps that the files had when it began; a file that has changed since is not
covered by it any more. The stamps live in memory: after a restart of the server only the findings are left.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.reading import dict_of, list_of, text_of
from picochat.workbench.commands.processes import Process, Processes
from picochat.workbench.memo import Stamp

TITLE = "Verify"
COMMAND = "verify"
_DOCUMENT = re.compile(r"^\{", re.MULTILINE)
MOST_OUTPUT_BYTES = 64 * 1024 * 1024


class Verification(NamedTuple):
    """The newest one of a run. `checks` is empty until it is done; `verdict` is None where it did not come to one."""

    process: Process
    verdict: str | None
    checks: list[dict[str, Any]]
    problem: str
    stamps: Mapping[str, Stamp]

    @property
    def blamed(self) -> dict[str, str]:
        """The files that it found broken, and how."""
        found: dict[str, str] = {}
        for check in self.checks:
            if check.get("verdict") == "block":
                for place in list_of(check.get("evidence")):
                    said = f"{check.get('measured')}" + (
                        f", {check['threshold']} expected" if check.get("threshold") else ""
                    )
                    found.setdefault(str(dict_of(place).get("artifact")), said)
        return found

    def to_json(self) -> dict[str, Any]:
        blocked = [check for check in self.checks if check.get("verdict") != "pass"]
        return {
            "process": self.process.to_json(),
            "verdict": self.verdict,
            "checks": blocked,
            "files": next((check.get("n") for check in self.checks if check.get("id") == "verify.chain"), None),
            "problem": self.problem,
            "covers_files": bool(self.stamps),
        }


class Verifications:
    """What one server knows of them. Safe to call from several threads."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._stamps: dict[str, Mapping[str, Stamp]] = {}
        self._done: dict[str, tuple[str | None, list[dict[str, Any]], str]] = {}
        self._lock = threading.Lock()

    def start(self, run: str, stamps: Mapping[str, Stamp]) -> Process:
        """Starts `picochat verify RUN --json`, or answers with the one that is at work. Raises `process.busy`."""
        with self._lock:
            newest = self._newest(run)
            if newest is not None and newest.state == "running":
                return newest
            process = self._processes.start([COMMAND, run, "--json"], run=run, title=TITLE)
            self._stamps[process.id] = dict(stamps)
            return process

    def newest(self, run: str) -> Verification | None:
        """The last verification of a run, whoever's server started it."""
        process = self._newest(run)
        if process is None:
            return None
        if process.state != "finished":
            return Verification(process, None, [], "", {})
        with self._lock:
            done = self._done.get(process.id)
        if done is None:
            done = self._read(process)
            with self._lock:
                self._done[process.id] = done
        verdict, checks, problem = done
        return Verification(process, verdict, checks, problem, self._stamps.get(process.id, {}) if verdict else {})

    def _newest(self, run: str) -> Process | None:
        found = (process for process in self._processes.list(run) if process.argv[:1] == (COMMAND,))
        return next(found, None)

    def _read(self, process: Process) -> tuple[str | None, list[dict[str, Any]], str]:
        """Verdict, checks and problem of one that has ended: the document stands after what it said on its way."""
        text = self._output(process.id)
        begin = _DOCUMENT.search(text)
        try:
            document = dict_of(parse_json(text[begin.start() :].encode(), "its output")) if begin else {}
        except PicochatError as err:
            return None, [], err.detail
        verdict = text_of(document.get("verdict"))
        if verdict is None:
            ended = f"exit code {process.exit_code}" if process.signal is None else f"signal {process.signal}"
            return None, [], f"it ended with {ended} and without a verdict"
        return verdict, [dict_of(check) for check in list_of(document.get("checks"))], ""

    def _output(self, name: str) -> str:
        pieces, offset = [], 0
        while offset < MOST_OUTPUT_BYTES:
            found = self._processes.output(name, offset)
            pieces.append(found.text)
            if found.next_offset <= offset or found.next_offset >= found.total_bytes:
                break
            offset = found.next_offset
        return "".join(pieces)
