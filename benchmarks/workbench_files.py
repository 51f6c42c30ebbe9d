"""How long the workbench takes to answer about the files of a run: lineage, logs, events, dropped documents.

    python benchmarks/workbench_files.py RUN [--log-bytes 1073741824]

Asked for: a log of 1 GB opens in 1 s. RUN is read, never written; the log, the events and the list of dropped
documents that are measured are made in a folder of their own. Each figure is the median of five answers, and the
first answer beside it, without a socket and without a browser.

What is unfair about it: files of a disk that is cached, and a log whose lines are all alike.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from picochat.artifacts import layout
from picochat.core.jsonio import canonical_json
from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

ANSWERS = 5
LINE = b"2026-01-01 00:00:00,000 INFO step %07d loss 2.345 tokens 4096\n"


def write_lines(path: Path, size: int) -> None:
    """About `size` bytes of lines, and one that is found nowhere else in the middle."""
    block = b"".join(LINE % number for number in range(20_000))
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        for number in range(max(1, size // len(block))):
            stream.write(block)
            if number == size // len(block) // 2:
                stream.write(b"the needle\n")


def write_rows(path: Path, row: dict[str, Any], count: int) -> None:
    with path.open("wb") as stream:
        for number in range(count):
            stream.write(canonical_json(row | {"seq": number, "name": f"file-{number}"}) + b"\n")


def measure(client: TestClient, name: str, path: str) -> None:
    """Prints first and median time, and the size of the answer."""
    taken, size = [], 0
    for _ in range(ANSWERS + 1):
        began = time.perf_counter()
        answer = client.get(path)
        taken.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
        size = len(answer.content)
    median = statistics.median(taken[1:])
    sys.stdout.write(f"{name:<44}{taken[0] * 1000:9.1f} ms first{median * 1000:9.1f} ms then{size:10,} bytes\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--log-bytes", type=int, default=1 << 30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "run"
        shutil.copytree(asked.run, root, symlinks=True)
        write_lines(root / layout.rank_log(7), asked.log_bytes)
        write_rows(root / layout.EVENTS, {"kind": "step", "stage": "base", "attempt": 1, "loss": 2.5}, 200_000)
        write_rows(root / layout.CORPUS_DROPPED, {"reason": "too_short", "source": "web"}, 1_000_000)
        client = TestClient(Application(Workbench(Path(folder)), Site("0", b"", {}), Router(ROUTES)))
        for name, path in (
            ("lineage of the run", "lineage"),
            ("checkpoints", "checkpoints"),
            ("data", "data"),
            ("end of the log", "logs?rank=7"),
            ("a word that is not in the log, 64 MiB", "logs?rank=7&find=nowhere"),
            ("newest of 200,000 events", "events"),
            ("an event kind that there is none of, 8 MiB", "events?kind=failed"),
            ("first 100 of 1,000,000 dropped", "dropped"),
            ("a dropped name that there is none of, 16 MiB", "dropped?name=nobody"),
            ("10 chat rows with their mask", "chat_rows"),
            ("2,000 characters to tokens", f"tokens?text={'wording%20' * 250}"),
        ):
            measure(client, name, f"/api/runs/run/{path}")


if __name__ == "__main__":
    main()
