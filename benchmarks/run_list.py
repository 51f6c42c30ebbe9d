"""A list of 500 runs: how long the server takes, and how long from the address to the paint.

    python benchmarks/run_list.py [--run FOLDER] [--runs 500] [--json]

Asked for: 100 ms in the server when it has read the runs before, 300 ms from request to paint. Each run has the records
and reports of --run, a finished run; without it documents of the same size are made. The paint is measured in Chromium
where there is one, from the change of the address to the frame with the first screen, and to the one with all rows.

What is unfair about it: files of a disk that is cached, and a browser on the same machine that shares its cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench_cost import Server, serving

from picochat.artifacts import layout
from picochat.core.jsonio import canonical_json

SERVER_MS, PAINT_MS = 100.0, 300.0
TIMES = 20
DOCUMENTS = (
    layout.RUN,
    layout.STATUS,
    layout.EVENTS,
    layout.GATE,
    layout.CORPUS_MANIFEST,
    layout.TOKENIZER_REPORT,
    layout.HONESTY,
    layout.MEMORISATION,
    *(layout.report_path(stage) for stage in (layout.BASE, layout.SFT, layout.EVAL)),
)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PAINT = """(count) => new Promise((done) => {
  const began = performance.now();
  const rows = () => document.querySelectorAll('main tbody tr[data-row]').length;
  let first = null;
  const look = () => requestAnimationFrame(() => setTimeout(() => {
    if (first === null && rows() > 0) first = performance.now() - began;
    if (rows() === count) done([first, performance.now() - began]); else look();
  }));
  location.hash = '#/runs';
  look();
})"""
"""From the change of the address to the frame with the first screen, and to the one with all rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="A finished run whose documents every run of the list has.")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for number in range(options.runs):
            make_run(runs / f"run-{number:03d}", options.run)
        with serving(runs) as server:
            found = measure(server, runs) | paint(server, options.runs)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{options.runs} runs, an answer of {found['answer_kb']:.0f} KB\n\n| what | ms | asked for |\n|---|---|---|")
    rows = [("first answer", found["first_ms"], None), ("answer, median", found["warm_ms"], SERVER_MS)]
    rows += [("answer, slowest", found["slowest_ms"], SERVER_MS)]
    rows += [("unchanged, median", found["unchanged_ms"], SERVER_MS)]
    rows += [("one run written meanwhile, median", found["written_ms"], SERVER_MS)]
    rows += [("address to paint of the first screen, median", found["paint_ms"], PAINT_MS)]
    rows += [("address to paint of all rows, median", found["all_rows_ms"], PAINT_MS)]
    for what, took, limit in rows:
        word = "" if limit is None or took is None else f"{limit:.0f}: {'reached' if took <= limit else 'MISSED'}"
        print(f"| {what} | {'not measured: no browser' if took is None else f'{took:.0f}'} | {word} |")


def make_run(root: Path, source: Path | None) -> None:
    """The documents of a finished run; of a made one the sizes are those of the demo's."""
    for name in DOCUMENTS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            shutil.copyfile(source / name, root / name)
    if source is None:
        pad = {layout.GATE: 36_000, layout.report_path(layout.EVAL): 21_000, layout.RUN: 12_000}
        for name in DOCUMENTS:
            known = {"state": "finished", "stage": "summary", "verdict": "warn", "profile": "tiny"}
            text = "x" * pad.get(name, 9_000)
            (root / name).write_bytes(b"" if name == layout.EVENTS else canonical_json(known | {"text": text}))


def measure(server: Server, runs: Path) -> dict[str, Any]:
    """Times of answers by HTTP on loopback."""
    first_ms, answer = took(lambda: server.client.get("api/runs"))
    warm = [took(lambda: server.client.get("api/runs"))[0] for _ in range(TIMES)]
    known = {"if-none-match": answer.headers["etag"]}
    unchanged = [took(lambda: server.client.get("api/runs", headers=known)) for _ in range(TIMES)]
    assert all(same.status_code == 304 for _, same in unchanged)
    written = []
    for number in range(TIMES):
        status = {"state": "stopped", "stage": "base", "step": number + 1, "steps": TIMES}
        (runs / "run-000" / layout.STATUS).write_bytes(canonical_json(status))
        written.append(took(lambda: server.client.get("api/runs"))[0])
    return {
        "answer_kb": len(answer.content) / 1024,
        "first_ms": first_ms,
        "warm_ms": statistics.median(warm),
        "slowest_ms": max(warm),
        "unchanged_ms": statistics.median(ms for ms, _ in unchanged),
        "written_ms": statistics.median(written),
    }


def took(act: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = act()
    return (time.perf_counter() - began) * 1e3, found


def paint(server: Server, count: int) -> dict[str, float | None]:
    """Medians of seven; None without a browser."""
    unknown: dict[str, float | None] = {"paint_ms": None, "all_rows_ms": None}
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return unknown
    if browser is None:
        return unknown
    with sync_playwright() as driver:
        arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        with driver.chromium.launch(executable_path=browser, args=arguments) as opened:
            page = opened.new_context(viewport={"width": 1280, "height": 720}).new_page()
            page.goto(server.link)
            page.wait_for_selector("h1")
            times = []
            for _ in range(7):
                page.goto(f"{server.url}#/system")
                page.get_by_role("heading", name="System", exact=True).wait_for()
                times.append(page.evaluate(PAINT, count))
            first, whole = (statistics.median(one) for one in zip(*times, strict=True))
            return {"paint_ms": first, "all_rows_ms": whole}


if __name__ == "__main__":
    main()
