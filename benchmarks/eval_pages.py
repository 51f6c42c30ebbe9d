"""How long the workbench takes to answer about the rows of an evaluation: the first page, a filter, a search, two runs.

    python benchmarks/eval_pages.py [--rows 67000] [--json]

Asked for: the first answer within 2 s, each other one within 0.3 s; memory as it comes. Two runs with as many rows as
the largest benchmark has items are asked by a client without a socket, five times each; the middle one counts.

What is unfair about it: rows of one length, and files of a disk that is cached.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from picochat.artifacts import layout
from picochat.core.jsonio import canonical_json
from picochat.workbench.api.evals import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

FIRST_S, OTHER_S = 2.0, 0.3
TRIES = 5
FAILS = {"a": 7, "b": 5}
"""By run: one row in so many fails."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=67_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), args.rows)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{args.rows:,} rows, {found['megabytes']:.1f} MB a run")
    for name, seconds in found["seconds"].items():
        limit = FIRST_S if name.startswith("first") else OTHER_S
        print(f"{name:28} {seconds * 1000:8.1f} ms   {'ok' if seconds <= limit else f'over {limit:g} s'}")
    print(f"{'memory of the process':28} {found['memory_mb']:8.1f} MB")


def measure(runs: Path, rows: int) -> dict[str, Any]:
    for name, every in FAILS.items():
        write_run(runs / name, rows, every)
    client = TestClient(Application(Workbench(runs), Site("0", b"", {}), Router(ROUTES)))

    def asked(**query: Any) -> Callable[[], None]:
        def ask() -> None:
            answer = client.get("/api/runs/a/rows", params=query)
            assert answer.status_code == 200, answer.text

        return ask

    questions = {
        "first page": (asked(), 1),
        "a page again": (asked(), TRIES),
        "rows that fail": (asked(filter="fail"), TRIES),
        "the last page": (asked(cursor=max(0, rows - 50)), TRIES),
        "a search without a match": (asked(search="nowhere"), TRIES),
        "first page beside another run": (asked(against="b"), 1),
        "beside another run": (asked(against="b"), TRIES),
        "rows that flipped": (asked(against="b", filter="flipped"), TRIES),
    }
    return {
        "rows": rows,
        "megabytes": (runs / "a" / layout.EVAL / layout.ROWS).stat().st_size / 1e6,
        "seconds": {name: timed(ask, tries) for name, (ask, tries) in questions.items()},
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def timed(ask: Callable[[], None], tries: int) -> float:
    taken = []
    for _ in range(tries):
        begin = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def write_run(root: Path, rows: int, every: int) -> None:
    """A folder that counts as a run, with its eval rows."""
    (root / layout.EVAL).mkdir(parents=True)
    (root / layout.RUN).write_text("{}\n")
    with open(root / layout.EVAL / layout.ROWS, "wb") as stream:
        for number in range(rows):
            stream.write(canonical_json(row(number, number % every == 0)) + b"\n")


def row(number: int, fails: bool) -> dict[str, Any]:
    reply = "no idea" if fails else f"w {number}"
    texts = {"user": f"Spell word {number}.", "expected": [f"w {number}"], "reply": reply, "normalised": reply}
    verdict = {"verdict": "fail" if fails else "pass", "reason": "differs" if fails else "ok", "rule": "exact"}
    flags = dict.fromkeys(("echo", "repetition", "unfinished", "unsupported"), False)
    facts = {"id": f"spelling-eval-{number:06d}", "category": f"skill {number % 40}", "template": "spelling.eval.01"}
    return facts | texts | verdict | flags | {"option_scores": None, "entities": ["word:w"], "level": "easy"}


if __name__ == "__main__":
    main()
