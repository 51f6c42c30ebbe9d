"""Stop and resume from the page: a run that was started in a terminal saves, ends with exit code 75, and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.tiny_run import picochat
from tests.support.web_process import WebProcess
from tests.support.web_runs import LONG, copy_run, training

from picochat.artifacts import layout
from picochat.core.events import iter_events

expect = pytest.importorskip("playwright.sync_api", reason="NOT RUN: playwright is not installed").expect
PRICED = {"launch.rate_usd_per_gpu_hour": 360.0, "launch.cap_usd": 500.0}


def kinds(root: Path) -> list[str]:
    return [event["kind"] for event in iter_events(root / layout.EVENTS)]


def test_a_run_of_a_terminal_stops_with_75_and_is_gone_on_with(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    root = runs / "training"
    with training(runs, **PRICED) as popen:
        page = opened(workbench, "#/runs/training")
        page.click("details.control > summary")
        facts = page.locator("dl.facts", has_text="Accrued")
        expect(facts).to_contain_text("$360.00 an hour")
        expect(facts).to_contain_text("$500.00")
        shown = page.evaluate("fetch('api/runs/training/money').then((answer) => answer.json())")
        assert shown["accrued_usd"] == pytest.approx(shown["billed_s"] / 3600 * 360.0)
        assert "picochat stop training" in page.inner_text("main")
        page.click("button:has-text('Stop after checkpoint')")
        expect(page.locator("text=Asked to save and stop")).to_be_visible()
        assert popen.wait(60) == 75
    found = kinds(root)
    assert found.index("control_ack") < len(found) - 1 - found[::-1].index("checkpoint_saved"), "heard, then saved"
    page.click("button:has-text('Resume…')")
    table = page.get_by_role("table", name="Conditions of the training", exact=True)
    expect(table).to_contain_text("code_digest")
    assert "differs" not in table.inner_text()
    command = page.locator(".resume code", has_text="--resume").inner_text()
    assert command.startswith(f"picochat run tiny --out-dir {root} --resume --set base.loop.")
    page.click(".resume button:has-text('Resume')")
    expect(page.locator(".process .badge", has_text="running")).to_be_visible()
    expect(page.locator(".process code")).to_have_text(command)
    page.wait_for_timeout(500)
    for _ in range(200):
        if "resumed" in kinds(root):
            break
        page.wait_for_timeout(200)
    page.click(".process button:has-text('Cancel')")
    expect(page.locator(".process .badge")).to_contain_text("exit 75", timeout=30_000)
    resumed = next(event for event in iter_events(root / layout.EVENTS) if event["kind"] == "resumed")
    assert resumed["attempt"] == 2
    expect(page.locator(".process .output")).to_contain_text("stopped at step")
    page.evaluate("scrollTo(0, 0)")


def test_stop_now_wants_the_word_and_saves_nothing(runs: Path, workbench: WebProcess, opened: Callable[..., Any]):
    with training(runs, **(LONG | {"base.loop.save_every": 0})) as popen:
        page = opened(workbench, "#/runs/training")
        page.click("details.control > summary")
        page.click("summary:has-text('Stop without a checkpoint')")
        page.click("button:has-text('Stop now')")
        submit = page.locator("dialog[open] button[type=submit]")
        expect(submit).to_be_disabled()
        page.keyboard.type("sto")
        page.keyboard.press("Enter")
        expect(submit).to_be_disabled()
        assert not (runs / "training" / layout.CONTROL).exists()
        page.keyboard.type("p")
        page.keyboard.press("Enter")
        assert popen.wait(60) == 75
        assert popen.stderr is not None and "no checkpoint was saved, as was asked" in popen.stderr.read()
    assert json.loads((runs / "training" / layout.CONTROL).read_text())["request"] == "stop_now"
    assert "checkpoint_saved" not in kinds(runs / "training")
    page.evaluate("scrollTo(0, 0)")


def test_a_run_that_ended_cannot_be_asked_by_page_or_program(
    runs: Path, tiny_run: Path, workbench: WebProcess, opened: Callable[..., Any], desk: Any
):
    copy_run(tiny_run, runs)
    page = opened(workbench, "#/runs/tiny-1")
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("button:has-text('Stop after checkpoint')").count() == 0
    assert picochat("stop", runs / "tiny-1").returncode == 2
