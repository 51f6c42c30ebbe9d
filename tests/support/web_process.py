"""`picochat web` as a user starts it: a process, a folder of runs, a free port, the link that it prints."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tiny_run import start

LINK = re.compile(r"http://[^/\s]+/\S*")
READY_S = 30.0
STOP_S = 15.0


@dataclass
class WebProcess:
    """A workbench that has printed its link. `url` ends with a slash and holds no token."""

    popen: subprocess.Popen[str]
    link: str
    runs: Path
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.link.partition("#")[0]

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self) -> int:
        """The exit code after a SIGTERM."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(STOP_S)


def read_link(popen: subprocess.Popen[str]) -> str:
    """The link of the first line that has one; what follows is read away, so that nothing blocks on a full pipe."""
    found: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            match = LINK.search(line)
            if match and not found:
                found.append(match.group())
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    if not ready.wait(READY_S) or not found:
        popen.kill()
        raise AssertionError(f"no link was printed: {popen.stderr.read() if popen.stderr else ''}")
    return found[0]


def serving(runs: Path, *more: object, cwd: Path | None = None) -> AbstractContextManager[WebProcess]:
    """A workbench on a folder, ended after use."""
    return held(start("web", "--dir", runs, "--port", 0, *more, cwd=cwd), runs)


@contextmanager
def held(popen: subprocess.Popen[str], runs: Path) -> Iterator[WebProcess]:
    """A server that prints its link, while the block lasts; one that does not end within seconds is a failure."""
    try:
        process = WebProcess(popen, read_link(popen), runs)
        yield process
        if popen.poll() is None:
            assert process.stop() == 0
    finally:
        popen.kill()
        popen.wait()
        for stream in (popen.stdout, popen.stderr):
            if stream is not None:
                stream.close()
