"""What the workbench costs: time to start, memory, and processor time beside a run that is being written.

    python benchmarks/workbench_cost.py [--runs 500] [--seconds 30] [--training] [--json]

Asked for: ready within 2 s, 150 MB, no torch; news of a written event within 1 s; a server that follows a run takes
under 2 % of one core. Four states of one server on a folder of finished runs, in turn:

    idle        nobody listens
    quiet       a page listens, nobody writes
    written     a page listens, a writer adds 20 events a second and a status each two seconds
    read        the same, and the page reads the overview and a curve again at each change, at most each half second

With --training a real training on this machine takes the writer's place: what is measured is the server's processor
time, which on a machine whose cores are all busy is what the training goes without.

What is unfair about it: files of a disk that is cached. The page is a client without a browser; what a browser draws is
not the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx

from picochat.artifacts import layout
from picochat.core.events import EventWriter, iter_events
from picochat.core.fs import write_volatile
from picochat.core.jsonio import canonical_json

LINK = re.compile(r"(http://\S+/)#token=(\S+)")
READY_S, MEMORY_MB, NEWS_S, CPU_FRAC = 2.0, 150, 1.0, 0.02
EVENTS_PER_S = 20
STATUS_EVERY_S = 2.0
READ_EVERY_S = 0.5
SETTLE_S = 3.0
"""What begins is no part of what goes on."""
TRAINS_WITHIN_S = 300.0
WRITTEN = "written"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        make_runs(runs, options.runs)
        start = min((measure_start(runs) for _ in range(3)), key=lambda row: row["ready_s"])
        rows = measure_states(runs, options.seconds, options.training)
    if options.json:
        print(json.dumps({"start": start, "states": rows}, indent=1))
        return
    torch = "LOADED" if start["torch"] else "not loaded"
    print(f"{options.runs} runs: ready after {start['ready_s']:.2f} s (asked for: {READY_S:g} s), ", end="")
    print(f"{start['memory_mb']:.0f} MB ({MEMORY_MB} MB), torch {torch}\n")
    print("| state | of one core | asked for | news after, median | slowest | changes told | documents read | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        verdict = f"under {CPU_FRAC:.0%}: {'reached' if row['cpu_frac'] < CPU_FRAC else 'MISSED'}"
        news = [f"{row[key] * 1e3:.0f} ms" if row[key] is not None else "" for key in ("news_s", "slowest_s")]
        cells = [row["state"], f"{row['cpu_frac']:.2%}", verdict, *news, str(row["told"]), str(row["read"])]
        print(f"| {' | '.join(cells)} | {row['memory_mb']:.0f} |")


def make_runs(runs: Path, count: int) -> None:
    """Finished runs with the files that a look passes by, and one to write to."""
    for number in range(count):
        root = runs / f"run-{number:03d}"
        for name in (layout.BASE, layout.SFT, layout.EVAL, layout.LOGS):
            (root / name).mkdir(parents=True)
            (root / name / layout.REPORT).write_text("{}")
        record: dict[str, Any] = {"name": root.name, "profile": "tiny", "created_at": "2026-01-01T00:00:00Z"}
        record |= {"config": {}, "origins": {}}
        status = {"state": "finished", "stage": "summary", "step": 40, "steps": 40}
        documents = {layout.RUN: record, layout.STATUS: status, layout.GATE: {"verdict": "warn", "profile": "research"}}
        for name, document in documents.items():
            (root / name).write_bytes(canonical_json(document))
        (root / layout.EVENTS).write_text("")
        (root / layout.rank_log(0)).write_text("x\n" * 1000)
    (runs / WRITTEN).mkdir()
    (runs / WRITTEN / layout.RUN).write_bytes((runs / "run-000" / layout.RUN).read_bytes())


class Server:
    """A running workbench, and a client that is logged in."""

    def __init__(self, popen: subprocess.Popen[str], url: str, token: str) -> None:
        self.popen, self.url = popen, url
        self.link = f"{url}#token={token}"
        self.client = httpx.Client(base_url=url, headers={"origin": url.rstrip("/")}, timeout=30)
        self.client.post("api/login", json={"token": token}).raise_for_status()

    @property
    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def has_torch(self) -> bool:
        return "libtorch" in Path(f"/proc/{self.popen.pid}/maps").read_text()


@contextmanager
def serving(runs: Path) -> Iterator[Server]:
    argv = [sys.executable, "-m", "picochat.cli", "web", "--dir", str(runs), "--port", "0"]
    popen = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    try:
        found = LINK.search(popen.stdout.readline())
        assert found, "no link was printed"
        server = Server(popen, found[1], found[2])
        yield server
        server.client.close()
    finally:
        popen.terminate()
        popen.wait(10)
        popen.stdout.close()


def measure_start(runs: Path) -> dict[str, Any]:
    """Until the list of runs is there, and what the server holds then."""
    began = time.perf_counter()
    with serving(runs) as server:
        server.client.get("").raise_for_status()
        ready_s = time.perf_counter() - began
        server.client.get("api/runs").raise_for_status()
        return {"ready_s": ready_s, "memory_mb": server.memory_mb, "torch": server.has_torch}


class Page:
    """Listens to the stream in a thread; may read documents at each change, as a page does."""

    def __init__(self, server: Server, reads: tuple[str, ...]) -> None:
        self._server, self._reads = server, reads
        self.heard: list[tuple[float, str]] = []
        self.read = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._reread)]
        self._due = threading.Event()

    def __enter__(self) -> Page:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _listen(self) -> None:
        cookies, url = self._server.client.cookies, f"{self._server.url}api/events"
        with httpx.Client(cookies=cookies, timeout=None) as client, client.stream("GET", url) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self.heard.append((time.perf_counter(), json.loads(line[6:])["kind"]))
                    self._due.set()
                if self._stop.is_set():
                    return

    def _reread(self) -> None:
        while not self._stop.is_set():
            if self._due.wait(0.1):
                self._due.clear()
                for path in self._reads:
                    self.read += self._server.client.get(path).status_code == 200
                self._stop.wait(READ_EVERY_S)


@contextmanager
def writing(root: Path) -> Iterator[list[float]]:
    """Adds events and statuses as a training does; the times at which an event was written after a silence."""
    stop, written = threading.Event(), []

    def write() -> None:
        events, step, status_at = EventWriter(root / layout.EVENTS), 0, 0.0
        while not stop.wait(1 / EVENTS_PER_S):
            step += 1
            events.emit("step", "base", step=step, loss=4.0, bpb=2.0, lr=1e-3, tokens=step * 512, tokens_per_s=1e4)
            written.append(time.perf_counter())
            if written[-1] - status_at > STATUS_EVERY_S:
                status_at = written[-1]
                status = {"state": "running", "stage": "base", "step": step, "steps": 10**6, "heartbeat": step}
                write_volatile(root / layout.STATUS, canonical_json(status))
        events.close()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


@contextmanager
def training(root: Path) -> Iterator[list[float]]:
    """A real training of the smallest profile; from its first step on."""
    argv = [sys.executable, "-m", "picochat.cli", "run", "tiny", "--out-dir", str(root), "--quiet"]
    popen = subprocess.Popen(argv, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + TRAINS_WITHIN_S
        while not any(event["kind"] == "step" for event in iter_events(root / layout.EVENTS)):
            if popen.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the training took no step")
            time.sleep(0.5)
        yield []
    finally:
        popen.kill()
        popen.wait()


Writer = Callable[[], AbstractContextManager[list[float]]]


def measure_states(runs: Path, seconds: float, with_training: bool) -> list[dict[str, Any]]:
    def reads(name: str) -> tuple[str, ...]:
        return tuple(f"api/runs/{name}{path}" for path in ("", "/series?stage=base&keys=loss&x=step&buckets=600"))

    def nobody() -> AbstractContextManager[list[float]]:
        return nullcontext([])

    def made() -> AbstractContextManager[list[float]]:
        return writing(runs / WRITTEN)

    with serving(runs) as server:
        rows = [
            measure("idle", server, seconds, None, nobody),
            measure("quiet", server, seconds, (), nobody),
            measure("written", server, seconds, (), made),
            measure("read", server, seconds, reads(WRITTEN), made),
        ]
        if with_training:
            rows.append(measure("a training, followed", server, seconds, (), lambda: training(runs / "trained-0")))
            real = reads("trained-1")
            rows.append(measure("a training, read", server, seconds, real, lambda: training(runs / "trained-1")))
    return rows


def measure(
    state: str, server: Server, seconds: float, reads: tuple[str, ...] | None, writer: Writer
) -> dict[str, Any]:
    """Processor time of the server over some seconds of one state, as a part of one core; `reads` None: no page."""
    page = Page(server, reads or ())
    with writer() as written, page if reads is not None else nullcontext():
        time.sleep(SETTLE_S)
        cpu_s, began, read, told = server.cpu_s, time.perf_counter(), page.read, len(page.heard)
        time.sleep(seconds)
        used_s, wall_s = server.cpu_s - cpu_s, time.perf_counter() - began
        read, told = page.read - read, len(page.heard) - told
    news = delays(written, [at for at, kind in page.heard if kind == "events"])
    return {
        "state": state,
        "cpu_frac": used_s / wall_s,
        "news_s": news[len(news) // 2] if news else None,
        "slowest_s": news[-1] if news else None,
        "told": told,
        "read": read,
        "memory_mb": server.memory_mb,
    }


def delays(written: list[float], heard: list[float]) -> list[float]:
    """How long each event waited until the next word about events, sorted, up to the last word."""
    found, told = [], iter(heard)
    at = next(told, None)
    for when in written:
        while at is not None and at < when:
            at = next(told, None)
        if at is None:
            break
        found.append(at - when)
    return sorted(found)


if __name__ == "__main__":
    main()
