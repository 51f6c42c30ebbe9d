"""Child processes: argv lists only, a chosen environment, output captured, a time limit."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

NOT_STARTED = 127
"""The exit code of a shell for a command that is not there."""


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


def run_logged(argv: Sequence[str], output: Path, passed_on: Sequence[signal.Signals]) -> int:
    """Runs a command to its end in a group of its own, everything that it says appended to a file.

    A signal of `passed_on` that this process gets reaches the group exactly once; one that came before the command
    began keeps it from beginning. Minus the number of the signal that ended it; 127 when it could not be started.
    """
    early: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: object) -> None:
        if child is None:
            early.append(number)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)

    for number in passed_on:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    if early:
        return -early[0]
    with open(output, "ab") as stream:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, process_group=0
            )
        except OSError as err:
            stream.write(f"{argv[0]} could not be started: {err}\n".encode())
            return NOT_STARTED
    for number in early:
        pass_on(number, None)
    return child.wait()


class Detached:
    """A child in a session of its own, which outlives this process. It waits for `release` before it does anything.

    TERM is blocked in it from the first instant on, until it is ready to answer: see `run_logged`.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._child = subprocess.Popen(
                argv,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = self._child.pid
        # Nobody asks for it again, and a child that nobody waits for would stay in the process table.
        threading.Thread(target=self._child.wait, name=f"wait-{self.pid}", daemon=True).start()

    def release(self, go: bool = True) -> None:
        """Lets it begin; without `go` it reads the end of its input, and leaves."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            if go:
                self._child.stdin.write(b"\n")
            self._child.stdin.close()


class LineChild:
    """A child that answers each line with a line. It starts with the first question, and again after it was ended.

    Threads ask one after the other. A child that is too slow, says too much or dies gives None and is ended; it ends
    too when nobody holds this object any more, and sees the end of its input when this process dies.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._argv, self._env = list(argv), dict(env)
        self._asking = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize | None = None

    def ask(self, lines: Sequence[bytes], timeout_s: float, max_bytes: int) -> bytes | None:
        """The answer to the last of the lines; those before it, without answers, are sent to a new child alone."""
        with self._asking:
            if self._child is not None and self._child.poll() is not None:
                self._end()
            question = b"".join(lines if self._child is None else lines[-1:])
            answer = _exchange(self._child or self._start(), question, timeout_s, max_bytes)
            if answer is None:
                self._end()
            return answer

    def close(self) -> None:
        """Ends the child, if there is one."""
        with self._asking:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self._argv,
            env=self._env,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._child, self._finalizer = child, weakref.finalize(self, _end_child, child)
        return child

    def _end(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._child = self._finalizer = None


def _exchange(child: subprocess.Popen[bytes], question: bytes, timeout_s: float, max_bytes: int) -> bytes | None:
    """One line of the child, within a time and a size."""
    assert child.stdin is not None and child.stdout is not None
    deadline = time.monotonic() + timeout_s
    poll = select.poll()
    poll.register(child.stdout, select.POLLIN)
    answer = bytearray()
    try:
        left = memoryview(question)
        while left:
            left = left[child.stdin.write(left) or 0 :]
        while not answer.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                return None
            piece = os.read(child.stdout.fileno(), 1 << 16)
            answer += piece
            if not piece or len(answer) > max_bytes:
                return None
    except OSError:
        return None
    return bytes(answer)


def _end_child(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
