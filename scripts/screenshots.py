"""Pictures of every page of the workbench: light, dark, and 320 px wide.

    python scripts/screenshots.py FOLDER [--docs DOCS] [--runs RUNS] [--only PAGE]...

Those that the documentation shows are copied to DOCS.

Without --runs it makes a small run, one that the gate blocks and one that was killed, and shows those. The clock of the
browser stands still and nothing moves, so that two pictures differ only where the pages do. A person looks at them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support.tiny_run import build_run, write_pack  # noqa: E402
from tests.support.web_process import WebProcess, serving  # noqa: E402
from tests.support.web_runs import blocked_run, copy_run, killed_run  # noqa: E402

NOW = "2026-06-01T12:00:00Z"
WIDE, NARROW = (1280, 720), (320, 720)
SETTLE_MS = 900
DOCUMENTED = ("overview-light", "overview-dark", "gate-blocked-light", "curves-light")
PAGES = {
    "runs": "#/runs",
    "overview": "#/runs/{run}",
    "curves": "#/runs/{run}/curves",
    "gate": "#/runs/{run}/gate",
    "gate-blocked": "#/runs/blocked/gate",
    "data": "#/runs/{run}/data",
    "evals": "#/runs/{run}/evals",
    "evals-rows": "#/runs/{run}/evals?tab=rows",
    "artifacts": "#/runs/{run}/artifacts",
    "events": "#/runs/{run}/events",
    "compare": "#/compare?runs={run},{other}",
    "play": "#/play",
    "scale": "#/scale",
    "system": "#/system",
}


def make_runs(folder: Path) -> tuple[str, str]:
    """The runs that are shown; names of two that can be compared."""
    build_run(folder / "tiny-1", write_pack(folder.parent / "pack"))
    copy_run(folder / "tiny-1", folder, "tiny-2")
    blocked_run(folder)
    killed_run(folder)
    return "tiny-1", "tiny-2"


def shoot(browser: Browser, process: WebProcess, out: Path, names: tuple[str, str], only: list[str]) -> None:
    """Every page in both themes, and narrow."""
    for theme, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
        label = "narrow" if size == NARROW else theme
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.clock.set_fixed_time(NOW)
        page.goto(process.link)
        page.wait_for_selector("h1")
        for name, where in PAGES.items():
            if only and name not in only:
                continue
            page.goto(process.url + where.format(run=names[0], other=names[1]))
            page.wait_for_selector("h1")
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=out / f"{name}-{label}.png", full_page=size == NARROW)
            print(out / f"{name}-{label}.png")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=Path, help="where the pictures of the documentation lie")
    parser.add_argument("--runs", type=Path, help="a folder of runs to show instead")
    parser.add_argument("--names", nargs=2, default=None, help="two of them, for the pages of a run and the comparison")
    parser.add_argument("--only", action="append", default=[], choices=list(PAGES))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        parser.error("there is no Chromium here: apt install chromium")
    with tempfile.TemporaryDirectory() as scratch:
        runs = asked.runs or Path(scratch) / "runs"
        names = tuple(asked.names) if asked.names else None
        if asked.runs is None:
            runs.mkdir()
            names = make_runs(runs)
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        # Named as a user names it, so that pages show `runs/tiny-1` and no folder of this machine.
        with serving(Path(runs.name), cwd=runs.parent) as process, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=found, args=sandbox)
            shoot(browser, process, asked.folder, names or ("tiny-1", "tiny-2"), asked.only)
            browser.close()
    for name in DOCUMENTED if asked.docs else ():
        asked.docs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(asked.folder / f"{name}.png", asked.docs / f"{name}.png")


if __name__ == "__main__":
    main()
