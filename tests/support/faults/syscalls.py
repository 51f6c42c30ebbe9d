"""Every file-system call of one save, killed or failed by strace; and the order in which a save syncs its work."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.faults.crashes import Promise, Saver, breaches, saver_argv

WATCHED = "%file,%desc"
MEMORY = {"mmap", "munmap"}
ACTIONS = {"kill": "signal=SIGKILL", "eio": "error=EIO", "enospc": "error=ENOSPC"}
CODES = {"eio": "disk.io", "enospc": "disk.full"}
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
CALL = re.compile(r"(\w+)\((.*)")
REPORT = "write(1<"


class Point(NamedTuple):
    """The `number`-th `call` of a save, and what happens to it."""

    call: str
    number: int
    action: str


def require_strace() -> None:
    """Skips with the reason where strace is missing or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("NOT RUN: strace is missing")
    if os.geteuid() and YAMA.is_file() and int(YAMA.read_text()) > 1:
        pytest.skip(f"NOT RUN: {YAMA} lets nobody but root attach to a process")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"NOT RUN: strace may not trace: {tried.stderr.strip()}")


class Traced:
    """One save of a waiting saver under strace; `log` is what strace saw of it, up to the saver's own report."""

    def __init__(self, running: Saver, log: Path, options: list[str]) -> None:
        argv = ["strace", "-y", "-s", "16", "-o", str(log), *options, "-p", str(running.process.pid)]
        strace = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        attached = strace.stderr.readline()
        if "attached" not in attached:
            strace.kill()
            running.kill()
            raise AssertionError(f"strace did not attach: {attached}{strace.communicate()[1]}")
        running.process.send_signal(signal.SIGUSR1)
        self.said = running.end()
        self.returncode, self.errors = running.process.returncode, running.errors
        strace.communicate(timeout=60)
        self.log = log.read_text().splitlines()


def calls_of(log: list[str]) -> list[tuple[str, int]]:
    """(call, number) of each call up to the saver's report; numbered as strace counts them, from the attach."""
    counts: dict[str, int] = {}
    found = []
    for line in log:
        if line.startswith(REPORT):
            assert found, "a save without a file-system call"
            return found
        if (match := CALL.match(line)) and match[1] not in MEMORY:
            counts[match[1]] = counts.get(match[1], 0) + 1
            found.append((match[1], counts[match[1]]))
    raise AssertionError("the save never reported")


def start_saves(folder: Path, writer: str, saves_before: int) -> tuple[Saver, int]:
    """A waiting saver in a new folder that holds so many versions (0 to 2), and the newest of them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if saves_before == 2:
        Saver(saver_argv(folder, writer, 1, "once")).kill()
    return Saver(saver_argv(folder, writer, saves_before, "once")), saves_before


def points_of_a_save(folder: Path, writer: str, saves_before: int) -> list[Point]:
    """Each call of one undisturbed save, times each action."""
    running, _ = start_saves(folder, writer, saves_before)
    traced = Traced(running, folder.parent / "dry.log", ["-e", f"trace={WATCHED}"])
    assert traced.said == ["saved"], traced.errors
    return [Point(call, number, action) for call, number in calls_of(traced.log) for action in ACTIONS]


class Case(NamedTuple):
    """A save that is disturbed: in which folder, by which writer, after how many earlier saves, with which promise."""

    folder: Path
    writer: str
    saves_before: int
    promise: Promise


def break_each(case: Case, points: Iterable[Point], until_red: bool = False) -> list[str]:
    """What is wrong after each point; a fresh process looks after it and saves once more."""
    wrong: list[str] = []
    running, version = start_saves(case.folder, case.writer, case.saves_before)
    for point in points:
        if case.saves_before < 2:
            running.kill()
            running, version = start_saves(case.folder, case.writer, case.saves_before)
        running, version, found = break_one(case, point, running, version)
        wrong += [f"{point.action} at {point.call} {point.number}: {text}" for text in found]
        if wrong and until_red:
            break
    running.kill()
    return wrong


def break_one(case: Case, point: Point, running: Saver, version: int) -> tuple[Saver, int, list[str]]:
    """Disturbs the next save of a waiting saver; returns the saver that looked, its version and what is wrong."""
    option = f"inject={point.call}:{ACTIONS[point.action]}:when={point.number}"
    traced = Traced(running, case.folder.parent / "inject.log", ["-e", f"trace={point.call}", "-e", option])
    begun = version + 1
    acknowledged = begun if traced.said == ["saved"] else version
    looking = Saver(saver_argv(case.folder, case.writer, begun + 1, "once"))
    wrong = breaches(looking.found, acknowledged, begun, begun + 1, case.promise)
    return looking, begun + 1, [*ended_wrongly(point, traced), *wrong]


def ended_wrongly(point: Point, traced: Traced) -> list[str]:
    """A killed saver is dead; a failed call ends in the project's own error, or the second attempt succeeds."""
    if point.action == "kill":
        died = traced.returncode == -9 and not traced.said
        return [] if died else [f"it did not die: exit {traced.returncode}, {traced.said}"]
    if not any("(INJECTED)" in line for line in traced.log):
        return ["the call was never reached"]
    if traced.said not in (["saved"], [CODES[point.action]]):
        return [f"it said {traced.said or traced.errors.strip().splitlines()[-3:]}"]
    return []


# --- the order of one save: what SIGKILL cannot see, because the kernel outlives the process


class Call(NamedTuple):
    name: str
    path: str
    creates: bool


PATH = re.compile(r'\d+<(/[^>]*)>|"([^"]*)"')


def parse_order(log: list[str]) -> list[Call]:
    """Successful calls, each with the path that it is about, up to the saver's report."""
    calls = []
    for line in log:
        match = CALL.match(line)
        if line.startswith(REPORT):
            break
        if match and " = -1" not in line and (paths := PATH.findall(match[2])):
            opened, named = paths[-1 if match[1] == "openat" else 0]
            calls.append(Call(match[1], opened or named, "O_CREAT" in line))
    return calls


def order_breaches(calls: list[Call], parent: Path) -> list[str]:
    """Files synced after their last write, their folder after its last new name, both before any renaming; the parent
    synced after each renaming and before the next, and before the report."""
    renames = [at for at, call in enumerate(calls) if call.name.startswith("rename")]
    if not renames:
        return ["nothing was renamed"]
    wrong = []
    created = [call.path for call in calls[: renames[0]] if call.creates and "/.tmp-" in call.path]
    for path in created:
        written = max(_places(calls, ("write", "openat"), path), default=-1)
        if not any(written < at < renames[0] for at in _places(calls, ("fsync",), path)):
            wrong.append(f"{Path(path).name} is not synced before the swap")
    for folder in dict.fromkeys(str(Path(path).parent) for path in created):
        named = max(at for path in created if path.startswith(folder) for at in _places(calls, ("openat",), path))
        if not any(named < at < renames[0] for at in _places(calls, ("fsync",), folder)):
            wrong.append("the new folder is not synced before the swap")
    for at, after in zip(renames, [*renames[1:], len(calls)], strict=True):
        if not any(at < sync < after for sync in _places(calls, ("fsync",), str(parent))):
            wrong.append(f"the parent is not synced after renaming {at - renames[0]} calls after the first")
    return wrong if created else [*wrong, "no new file was created"]


def _places(calls: list[Call], names: tuple[str, ...], path: str) -> list[int]:
    return [at for at, call in enumerate(calls) if call.name in names and call.path == path]


def order_of_a_save(folder: Path, writer: str, saves_before: int = 2) -> list[str]:
    """The breaches of one real save."""
    trace = "trace=openat,mkdir,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir"
    running, _ = start_saves(folder, writer, saves_before)
    return order_breaches(parse_order(Traced(running, folder.parent / "order.log", ["-e", trace]).log), folder)
