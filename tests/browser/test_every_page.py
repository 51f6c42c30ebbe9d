"""Every page on a run in every state: it opens, says something, fits 320 px, is accessible in both themes, and no text
of a run is ever more than text.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.watched_page import require_accessible
from tests.support.web_process import WebProcess
from tests.support.web_runs import blocked_run, copy_run, hostile_run, killed_run, training

from picochat.artifacts import layout

OF_A_RUN = {
    "": (),
    "/curves": ("base", "sft", "system"),
    "/gate": (),
    "/data": ("corpus", "dropped", "tokens", "chat", "packing"),
    "/evals": ("fit", "rows", "samples", "benchmarks", "honesty"),
    "/artifacts": ("lineage", "checkpoints"),
    "/events": ("events", "logs", "commands"),
}
SEEN_BY_ALL = ("finished", "torn", "hostile")
"""The states of a run that pages of all runs could stumble over."""
OF_ALL = ("#/runs", "#/scale", "#/system", "#/play")
STATES = ["finished", "training", "killed", "blocked", "torn", "young", "hostile"]
THEMES = ("light", "dark")
SETTLE_MS = 250
NARROW = {"width": 320, "height": 720}
WIDE = {"width": 1280, "height": 720}


def torn_run(source: Path, folder: Path) -> str:
    """Every document cut in the middle, as a bad disk leaves them."""
    root = copy_run(source, folder, "torn")
    for path in (*root.glob("*.json"), *root.glob("*/report.json"), root / layout.EVENTS):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    return root.name


def young_run(source: Path, folder: Path) -> str:
    """In its first second: nothing but the record and the status."""
    root = folder / "young"
    root.mkdir()
    for name in (layout.RUN, layout.STATUS):
        shutil.copy(source / name, root / name)
    return root.name


@pytest.fixture
def make(tiny_run: Path, runs: Path) -> Iterator[Callable[[str], str]]:
    """make(state) -> the name of a run that is in it."""
    trainings = []

    def build(state: str) -> str:
        copy_run(tiny_run, runs)
        if state == "finished":
            return tiny_run.name
        if state == "training":
            trainings.append(training(runs))
            trainings[-1].__enter__()
            return "training"
        if state in ("torn", "young"):
            return {"torn": torn_run, "young": young_run}[state](tiny_run, runs)
        if state == "hostile":
            return hostile_run(tiny_run, runs).name
        return {"killed": killed_run, "blocked": blocked_run}[state](runs).name

    yield build
    for entered in trainings:
        entered.__exit__(None, None, None)


def addresses(name: str, state: str) -> list[str]:
    found = [*(OF_ALL if state in SEEN_BY_ALL else OF_ALL[:1]), f"#/compare?runs=tiny-1,{name}"]
    for tail, tabs in OF_A_RUN.items():
        found += [f"#/runs/{name}{tail}", *(f"#/runs/{name}{tail}?tab={tab}" for tab in tabs[1:])]
    return found


@pytest.mark.parametrize("state", STATES)
def test_every_page_shows_a_run_that_is(
    state: str, make: Callable[[str], str], workbench: WebProcess, opened: Callable[..., Any]
):
    name = make(state)
    page = opened(workbench)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for number, where in enumerate(addresses(name, state)):
        page.goto(workbench.url + where)
        page.wait_for_selector("h1")
        page.wait_for_timeout(SETTLE_MS)
        main = page.inner_text("main")
        assert len(main) > 20, where
        assert "the server failed" not in main and "this page is not there" not in main, where
        # Every page is seen in both themes, in one of them a state: the states take turns.
        theme = THEMES[(number + STATES.index(state)) % 2]
        page.emulate_media(color_scheme=theme)
        try:
            require_accessible(page)
        except AssertionError as err:
            raise AssertionError(f"{where} in {theme}: {err}") from None
        page.set_viewport_size(NARROW)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= NARROW["width"], f"{where} is {wide} px wide on a screen of 320"
        page.set_viewport_size(WIDE)
        assert page.evaluate("window.pwned") is None, where
    assert not dialogs
    if state == "torn":
        assert "unreadable" in page.evaluate("fetch('api/runs').then((r) => r.text())")
