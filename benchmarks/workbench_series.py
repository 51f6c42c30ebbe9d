"""Curves of a long run through a real `picochat web`: the first read of 200,000 points, later reads, answers, memory.

    first     a server that just started answers `series` of a run whose 200,000 step events it never saw
    again     the same question, from memory
    grown     50 events were appended in between
    zoomed    a window of 2 % on another axis, smoothed
    memory    resident memory of the server before the first question, and after all of them

    python benchmarks/workbench_series.py [--points 200000] [--rounds 5] [--json]

Bars: first read 2 s, later answers 100 ms, an answer 150 KB, the server 150 MB.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BARS = {
    "first_s": 2.0,
    "again_s": 0.1,
    "grown_s": 0.1,
    "zoomed_s": 0.1,
    "answer_bytes": 150_000,
    "idle_bytes": 150e6,
    "rss_bytes": 150e6,
}
BEGAN = datetime.datetime(2026, 11, 30)
LINK = re.compile(r"(http://[^/\s]+)/#token=(\S+)")
SERIES = "/api/runs/long-1/series?stage=base&keys=loss,val_loss&smooth=0.9"
ZOOMED = "/api/runs/long-1/series?stage=base&keys=loss&smooth=0.99&x=tokens&from=1e9&to=1.1e9"
APPENDED = 50


def event(step: int, dice: random.Random) -> str:
    """A step event as a run writes it: about 350 bytes."""
    moment = (BEGAN + datetime.timedelta(seconds=0.9 * step)).isoformat(timespec="milliseconds") + "Z"
    fields = {
        "seq": step,
        "t": moment,
        "attempt": 1,
        "stage": "base",
        "kind": "step",
        "step": step,
        "loss": 2 + 5 * math.exp(-step / 3e4) + dice.gauss(0, 0.1),
        "grad_norm": dice.random(),
        "lr": 0.003 * math.exp(-step / 1e5),
        "tokens": step * 8192,
        "tokens_per_s": 42_249.7 * dice.uniform(0.9, 1),
        "flops_per_s": 2.24e11 * dice.uniform(0.9, 1),
        "rss_bytes": 717_942_784 + step,
        "peak_memory_bytes": None,
        "data_wait_s": dice.random() / 1000,
    }
    return json.dumps(fields, separators=(",", ":"), sort_keys=True) + "\n"


class Server:
    """`picochat web` on a folder, and a client that is logged in."""

    def __init__(self, runs: Path) -> None:
        argv = [sys.executable, "-m", "picochat.cli", "web", "--dir", str(runs), "--port", "0"]
        self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.popen.stdout is not None
        found = next(filter(None, map(LINK.search, self.popen.stdout)), None)
        if found is None:
            raise SystemExit("picochat web printed no link")
        self.origin = found[1]
        self.host = urlsplit(found[1]).netloc
        body = json.dumps({"token": found[2]})
        headers = {"Content-Type": "application/json", "Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        answer, _ = self._ask("POST", "/api/login", headers, body)
        self.cookie = answer.getheader("set-cookie", "").partition(";")[0]

    def _ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Any:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data[:300]!r}")
        return answer, data

    def get(self, path: str) -> tuple[float, bytes]:
        """Seconds from request to last byte, and the bytes."""
        started = time.perf_counter()
        _, data = self._ask("GET", path, {"Cookie": self.cookie})
        return time.perf_counter() - started, data

    def rss_bytes(self) -> int:
        fields = Path(f"/proc/{self.popen.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(15)


def measure(folder: Path, points: int) -> dict[str, float]:
    """One server, from its start."""
    dice, path = random.Random(1), folder / "long-1" / "events.jsonl"
    server = Server(folder)
    try:
        idle = server.rss_bytes()
        first, data = server.get(SERIES)
        assert json.loads(data)["series"][0]["points"]["shown"] == min(points, 1500)
        again = [server.get(SERIES)[0] for _ in range(9)]
        held = path.stat().st_size
        with path.open("a") as stream:
            stream.writelines(event(points + number, dice) for number in range(1, APPENDED + 1))
        grown, more = server.get(SERIES)
        assert json.loads(more)["series"][0]["points"]["all"] == points + APPENDED
        os.truncate(path, held)
        zoomed = [server.get(ZOOMED)[0] for _ in range(1, 6)][1:]
        return {
            "first_s": first,
            "again_s": statistics.median(again),
            "grown_s": grown,
            "zoomed_s": statistics.median(zoomed),
            "answer_bytes": len(data),
            "idle_bytes": idle,
            "rss_bytes": server.rss_bytes(),
        }
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "long-1"
        root.mkdir()
        (root / "status.json").write_text('{"state": "stopped", "stage": "base"}')
        dice = random.Random(0)
        with (root / "events.jsonl").open("w") as stream:
            stream.writelines(event(step, dice) for step in range(1, options.points + 1))
        rounds = [measure(Path(name), options.points) for _ in range(options.rounds)]
    found = {
        key: {"median": statistics.median(r[key] for r in rounds), "most": max(r[key] for r in rounds)} for key in BARS
    }
    for key, entry in found.items():
        entry["bar"] = BARS[key]
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for key, entry in found.items():
        verdict = "holds" if entry["median"] <= entry["bar"] else "MISSED"
        figures = "  ".join(f"{name} {entry[name]:>14,.3f}" for name in ("median", "most", "bar"))
        print(f"{key:14} {figures}  {verdict}")


if __name__ == "__main__":
    main()
