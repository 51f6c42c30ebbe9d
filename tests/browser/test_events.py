"""Events, logs and output: followed, paused, searched, at any size, and only ever text."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.web_process import WebProcess
from tests.support.web_runs import HOSTILE, many_runs

from picochat.core.jsonio import canonical_json

Opened = Callable[..., Any]
SECRET = "hf_" + "A1b2" * 8


@pytest.fixture
def root(runs: Path) -> Path:
    many_runs(runs, 1)
    root = runs / "run-000"
    (root / "logs").mkdir()
    return root


def emit(root: Path, first: int, last: int, **fields: Any) -> None:
    with open(root / "events.jsonl", "ab") as stream:
        for seq in range(first, last + 1):
            head = {"seq": seq, "t": "2026-01-01T00:00:00.000Z", "attempt": 1, "stage": "base", "kind": "step"}
            stream.write(canonical_json(head | {"step": seq} | fields) + b"\n")


def wait_rows(page: Any, count: int) -> None:
    page.wait_for_function("(n) => document.querySelectorAll('#events tbody tr').length === n", arg=count)


def test_events_are_followed_paused_and_filtered(root: Path, workbench: WebProcess, opened: Opened):
    (root / "events.jsonl").unlink()
    emit(root, 1, 20)
    page = opened(workbench, "#/runs/run-000/events")
    wait_rows(page, 20)
    emit(root, 21, 23)
    wait_rows(page, 23)
    assert "step 23" in page.locator("#events tbody tr").first.inner_text()
    page.get_by_label("Follow").uncheck()
    emit(root, 24, 24, kind="failed", error="it broke")
    page.wait_for_timeout(1200)
    wait_rows(page, 23)
    page.get_by_label("Kind").select_option("failed")
    wait_rows(page, 1)
    assert "it broke" in page.inner_text("#events tbody") and "kind=failed" in page.url


def test_the_first_failure_and_an_address_of_one_event(root: Path, workbench: WebProcess, opened: Opened):
    (root / "events.jsonl").unlink()
    emit(root, 1, 300)
    emit(root, 301, 301, kind="failed", error="first")
    emit(root, 302, 900)
    page = opened(workbench, "#/runs/run-000/events")
    wait_rows(page, 200)
    page.get_by_role("button", name="First failure").focus()
    page.keyboard.press("Enter")
    page.locator("#events tr.selected").wait_for()
    assert "first" in page.locator("#events tr.selected").inner_text() and "offset=" in page.url
    page.get_by_role("button", name="Earlier events").click()
    wait_rows(page, 400)
    page.get_by_role("button", name="Back to the newest").click()
    wait_rows(page, 200)
    assert "step 900" in page.locator("#events tbody tr").first.inner_text()


def test_a_gigabyte_of_log_opens_at_its_end_and_is_searched(root: Path, workbench: WebProcess, opened: Opened):
    with open(root / "logs/rank0.log", "wb") as stream:
        stream.write(b"the beginning\n" * 10 + b"2026 ERROR the first failure\n")
        stream.seek(1 << 30)
        stream.write(b"\n" + b"".join(b"line %d\n" % number for number in range(400)))
    page = opened(workbench, "#/system")
    began = time.monotonic()
    page.goto(f"{workbench.url}#/runs/run-000/events?tab=logs")
    page.get_by_text("line 399", exact=True).wait_for()
    assert time.monotonic() - began < 5
    page.get_by_label("Find").fill("LINE 7")
    page.get_by_role("button", name="Previous").click()
    page.wait_for_function("() => document.querySelector('.log li.here')?.innerText === 'line 79'")
    page.get_by_role("button", name="Previous").click()
    page.wait_for_function("() => document.querySelector('.log li.here')?.innerText === 'line 78'")
    page.get_by_role("button", name="First failure").click()
    page.wait_for_function("() => document.querySelector('.log li.here')?.innerText.includes('the first failure')")
    page.get_by_role("button", name="To the end").click()
    page.get_by_text("line 399", exact=True).wait_for()


def test_lines_come_as_they_are_written_and_follow_can_be_paused(root: Path, workbench: WebProcess, opened: Opened):
    log = root / "logs/rank0.log"
    log.write_bytes(b"one\ntw")
    (root / "logs/rank1.log").write_bytes(b"other rank\n")
    page = opened(workbench, "#/runs/run-000/events?tab=logs")
    page.get_by_text("not ended yet").wait_for()
    with log.open("ab") as stream:
        stream.write(b"o\nthree\n")
    page.get_by_text("three", exact=True).wait_for()
    assert page.locator(".log li").all_inner_texts() == ["one", "two", "three"]
    page.get_by_label("Follow").uncheck()
    with log.open("ab") as stream:
        stream.write(b"four\n")
    page.wait_for_timeout(1200)
    assert page.locator(".log li").count() == 3
    page.locator("#log select").select_option("1")
    page.get_by_text("other rank").wait_for()


def test_hostile_lines_are_text_and_secrets_masked(root: Path, workbench: WebProcess, opened: Opened):
    (root / "logs/rank0.log").write_text(
        "\n".join([*HOSTILE, f"token {SECRET}", "bell\x07 end"]) + "\n", encoding="utf-8"
    )
    for text in HOSTILE:
        emit(root, 3, 3, kind="warning", text=text, stage=text[:30])
    emit(root, 4, 4, kind="warning", text=SECRET)
    page = opened(workbench, "#/runs/run-000/events?tab=logs")
    page.get_by_text("bell\\x07 end").wait_for()
    lines = page.locator(".log li").all_inner_texts()
    assert lines[0] == HOSTILE[0] and lines[4] == "redlink" and r"\u202egnp.exe" in lines[5]
    assert "4,760 more" in lines[7] or "more" in lines[7]
    assert lines[8] == "token [redacted]" and SECRET not in page.content()
    page.goto(f"{workbench.url}#/runs/run-000/events")
    page.get_by_text("[redacted]").wait_for()
    assert SECRET not in page.content() and page.evaluate("window.pwned") is None
    with page.expect_download() as download:
        page.get_by_role("button", name="Download shown").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "[redacted]" in text and SECRET not in text and r"\u202e" in text
