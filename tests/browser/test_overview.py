"""A run at a glance: rail by keyboard, the next action as the terminal says it, facts, files, one screen."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.tiny_run import picochat
from tests.support.web_process import WebProcess
from tests.support.web_runs import blocked_run, copy_run

from picochat.artifacts import layout

Opened = Callable[..., Any]
RAIL = ["dataset", "tokenizer", "preflight", "base", "SFT", "evaluate", "benchmark", "summary", "gate"]
FITS = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"


def status_of(root: Path) -> dict[str, Any]:
    done: subprocess.CompletedProcess[str] = picochat("status", root, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_whole_run_is_on_one_screen_and_says_what_the_terminal_says(
    workbench: WebProcess, runs: Path, tiny_run: Path, opened: Opened
) -> None:
    root = copy_run(tiny_run, runs)
    page = opened(workbench, f"#/runs/{root.name}")
    page.wait_for_selector(".small-curves figure")
    page.wait_for_timeout(300)
    assert page.evaluate(FITS), page.evaluate("document.documentElement.scrollHeight")
    said = status_of(root)["next_action"]
    assert page.locator(".next .sentence").inner_text() == said["sentence"]
    assert page.locator(".next code").first.inner_text() == said["command"]
    base, evaluation = (json.loads((root / name / layout.REPORT).read_text()) for name in ("base", "eval"))
    facts = page.locator("#facts").inner_text()
    assert f"{base['validation']['bpb']:.3f}" in facts
    for name in ("eval", "heldout"):
        assert f"{evaluation['sets'][name]['summary']['mean_skill']['rate'] * 100:.1f} %" in facts
    assert page.locator("#facts dt").count() == 8 and "Cost\n—" in facts


def test_the_rail_is_walked_by_keyboard_and_opens_each_stage(
    workbench: WebProcess, runs: Path, tiny_run: Path, opened: Opened
) -> None:
    root = copy_run(tiny_run, runs)
    page = opened(workbench, f"#/runs/{root.name}")
    page.wait_for_selector(".rail a")
    assert page.locator(".rail-name").all_inner_texts() == RAIL
    gate = json.loads((root / layout.GATE).read_text())
    steps = dict(zip(RAIL, page.locator(".rail li").all_inner_texts(), strict=True))
    assert gate["verdict"] in steps["gate"]
    assert "not run" in steps["benchmark"] and "✓" not in steps["benchmark"]
    page.locator(".rail a").first.focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/curves\?tab=base"))
    page.get_by_role("heading", name="Curves", exact=True).wait_for()
    page.go_back()
    page.wait_for_selector(".rail a")
    page.get_by_role("link", name="tokenizer").click()
    page.wait_for_url(re.compile(r"/data\?tab=tokens"))


def test_what_blocks_stands_first_with_its_cure(workbench: WebProcess, runs: Path, opened: Opened) -> None:
    root = blocked_run(runs)
    page = opened(workbench, f"#/runs/{root.name}")
    blocker = page.locator(".blocker")
    blocker.wait_for()
    gate = json.loads((root / layout.GATE).read_text())
    name = blocker.locator("a").inner_text()
    check = next(check for check in gate["checks"] if check["id"] == name)
    assert check["verdict"] == "block" and f"{check['measured']:.3f}" in blocker.inner_text()
    said = status_of(root)["next_action"]
    assert said["state"] == "blocked" and name in said["sentence"]
    assert page.locator(".next .sentence").inner_text() == said["sentence"]
    page.wait_for_selector(".small-curves figure")
    assert page.evaluate(FITS)
    blocker.locator("a").click()
    page.wait_for_url(re.compile(f"check={re.escape(name)}$"))


def test_files_are_taken_and_a_report_can_do_nothing(
    workbench: WebProcess, runs: Path, tiny_run: Path, desk: Any
) -> None:
    root = copy_run(tiny_run, runs)
    page = desk.open(workbench, f"#/runs/{root.name}")
    page.wait_for_selector(".files a")
    with page.expect_download() as download:
        page.get_by_role("link", name="summary.md").click()
    assert Path(download.value.path()).read_bytes() == (root / layout.SUMMARY_MD).read_bytes()
    assert download.value.suggested_filename == f"{root.name}-summary.md"
    answers = []
    page.context.on("response", lambda response: answers.append(response))
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="report.html").click()
    report = opening.value
    report.wait_for_load_state()
    assert root.name in report.inner_text("h1")
    [answer] = [answer for answer in answers if answer.url.endswith("/files/report.html")]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    report.close()


def test_a_report_is_read_from_disk_without_a_script(browser: Any, runs: Path, tiny_run: Path) -> None:
    root = copy_run(tiny_run, runs)
    context = browser.new_context(java_script_enabled=False)
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto((root / layout.REPORT_HTML).as_uri())
    gate = json.loads((root / layout.GATE).read_text())
    text = page.inner_text("body")
    assert gate["verdict"] in page.inner_text("h1") and gate["weights_digest"][:12] in text
    assert all(check["id"] in text for check in gate["checks"] if check["verdict"] in ("warn", "block"))
    assert page.locator("svg polyline, svg path").count() > 0, "curves"
    assert page.locator("script").count() == 0
    assert asked == [(root / layout.REPORT_HTML).as_uri()], "one file"
    context.close()


def test_a_broken_file_is_named_and_the_rest_is_shown(
    workbench: WebProcess, runs: Path, tiny_run: Path, opened: Opened
) -> None:
    root = copy_run(tiny_run, runs)
    gate = root / layout.GATE
    gate.write_bytes(gate.read_bytes()[:100])
    page = opened(workbench, f"#/runs/{root.name}")
    page.get_by_text("gate.json cannot be used").first.wait_for()
    assert page.locator(".next code").inner_text() == f"picochat verify {root}"
    assert "finished" in page.locator(".rail li").nth(3).inner_text()
    gate.unlink()
    page.get_by_text("no gate has judged it").wait_for()
