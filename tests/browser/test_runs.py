"""The list of runs: every state, hostile names, torn files; filter and selection in the address; 500 runs; a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.web_process import WebProcess
from tests.support.web_runs import blocked_run, copy_run, many_runs, training

from picochat.artifacts import layout
from picochat.core.jsonio import canonical_json
from picochat.views.runs.run_list import read_run_line

expect = pytest.importorskip("playwright.sync_api", reason="NOT RUN: playwright is not installed").expect
Opened = Callable[..., Any]
ROWS = "main tbody tr[data-row]"


def write_run(root: Path, **documents: Any) -> None:
    root.mkdir()
    for name, document in documents.items():
        (root / f"{name}.json").write_bytes(canonical_json(document))


def test_no_run_hides_another_one(workbench: WebProcess, runs: Path, tiny_run: Path, opened: Opened) -> None:
    copy_run(tiny_run, runs)
    blocked_run(runs)
    for state in ("stopped", "failed"):
        write_run(
            runs / state, run={"profile": "tiny"}, status={"state": state, "stage": "base", "step": 5, "steps": 9}
        )
    (runs / "torn").mkdir()
    (runs / "torn" / layout.STATUS).write_text('{"state": "runn')
    (runs / "empty").mkdir()
    (runs / "<img src=x onerror=alert(1)>").mkdir()
    (runs / "linked").symlink_to(tiny_run)
    page = opened(workbench, "#/runs")
    page.wait_for_selector(ROWS)
    shown = {row.get_attribute("data-row"): row for row in page.query_selector_all(ROWS)}
    assert shown.keys() == {"tiny-1", "blocked", "stopped", "failed", "torn"}
    text = {name: row.inner_text() for name, row in shown.items()}
    assert "status.json: is not strict JSON" in text["torn"] and "unreadable" in text["torn"]
    assert "blocked" in text["blocked"] and "skill_release" in text["blocked"]
    assert "5 of 9" in text["stopped"] and "stopped" in text["stopped"] and "failed" in text["failed"]
    facts = read_run_line(runs / "tiny-1", lambda config: None).facts
    assert f"{facts['best_bpb']['bpb']:.3f}" in text["tiny-1"] and f"at {facts['best_bpb']['step']}" in text["tiny-1"]
    assert f"{facts['eval']['rate'] * 100:.1f} %" in text["tiny-1"] and f"n {facts['eval']['n']}" in text["tiny-1"]
    page.get_by_text("3 folders here are not shown as runs").click()
    others = page.locator(".others li").all_inner_texts()
    assert [entry.partition(":")[0] for entry in others] == ["<img src=x onerror=alert(1)>", "empty", "linked"]


def test_filter_search_sort_and_selection_live_in_the_address(
    workbench: WebProcess, runs: Path, opened: Opened
) -> None:
    many_runs(runs, 9)
    page = opened(workbench, "#/runs?gate=warn&sort=name&q=tiny+finished")
    page.wait_for_selector(ROWS)
    names = lambda: [row.get_attribute("data-row") for row in page.query_selector_all(ROWS)]  # noqa: E731
    assert names() == ["run-001", "run-004", "run-007"]
    assert "3 of 9 runs" in page.inner_text("main")
    head = page.get_by_role("button", name="Run", exact=True)
    head.click()
    head.click()
    expect(page.locator(ROWS).first).to_have_attribute("data-row", "run-007")
    assert "sort=-name" in page.url
    page.get_by_role("searchbox").fill("run-004")
    expect(page.locator(ROWS)).to_have_count(1)
    assert "q=run-004" in page.url
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(ROWS)).to_have_count(9)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    picked = page.url.partition("pick=")[2].partition("&")[0].split("%2C")
    assert len(picked) == 2
    command = page.locator(".picked code").inner_text()
    assert command == f"picochat compare {runs}/{picked[0]} {runs}/{picked[1]}"
    address = page.url
    page.reload()
    page.wait_for_selector(".picked")
    assert page.url == address and page.locator("input[type=checkbox]:checked").count() == 2
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("c")
    page.wait_for_url(re.compile(r"#/compare\?runs="))
    page.get_by_role("heading", name="Compare", exact=True).wait_for()


def test_five_hundred_runs_are_listed_and_found(workbench: WebProcess, runs: Path, opened: Opened) -> None:
    many_runs(runs, 500)
    page = opened(workbench, "#/runs?sort=name")
    expect(page.locator(ROWS)).to_have_count(500)
    assert page.locator(ROWS).last.get_attribute("data-row") == "run-499", "the rows that came after the first paint"
    page.get_by_role("searchbox").fill("run-49")
    expect(page.locator(ROWS)).to_have_count(10)


def test_a_run_that_is_killed_is_stalled_or_crashed_and_never_running(
    workbench: WebProcess, runs: Path, opened: Opened
) -> None:
    with training(runs) as process:
        page = opened(workbench, "#/runs")
        badge = page.locator(f"{ROWS} .badge").first
        badge.wait_for()
        assert "running" in badge.inner_text()
        pid = json.loads((runs / "training" / layout.STATUS).read_text())["pid"]
        os.kill(pid, signal.SIGSTOP)
        expect(badge).to_contain_text("stalled", timeout=20_000)
        os.kill(pid, signal.SIGKILL)
        process.wait(10)
        expect(badge).to_contain_text("crashed", timeout=10_000)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert "running" not in badge.inner_text()
            time.sleep(0.1)


def test_an_empty_folder_says_what_to_do(workbench: WebProcess, runs: Path, opened: Opened) -> None:
    page = opened(workbench, "#/runs")
    page.get_by_text("No run lies here yet").wait_for()
    assert page.locator("code", has_text="picochat demo").is_visible()
    many_runs(runs, 1)
    page.wait_for_selector(ROWS)
