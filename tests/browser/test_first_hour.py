"""The first hour of a new user: a demo, the page, why it is no release, the command that the page shows, the turn."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.made_blimp import write_blimp
from tests.support.tiny_run import flip_byte, picochat, set_flags, tiny_settings, write_pack
from tests.support.web_process import WebProcess

from picochat.artifacts import layout

PATIENCE_MS = 60_000
BLOCKED = 3


def judge_again(page: Any, profile: str) -> None:
    """By the button of the page, which starts `picochat gate` as a process."""
    page.select_option("#again select", profile)
    page.click("#again .action button")
    page.wait_for_selector("#again [role=status]:has-text('Judged')", timeout=PATIENCE_MS)


def commands_for(page: Any, check: str) -> list[str]:
    """What the repair queue shows for a check."""
    step = page.locator(f".repairs li:has(a:text-is('{check}'))")
    return step.locator(".command code").all_inner_texts()


def make_demo(folder: Path) -> None:
    """What `make demo` runs, in small."""
    settings = tiny_settings(write_pack(folder / "pack"))
    assert picochat("demo", "--quiet", *set_flags(settings), cwd=folder).returncode in (0, BLOCKED)


@pytest.fixture
def blimp(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """The published pairs where the run was given real data, else made ones in their form."""
    real = pytestconfig.getoption("--real-data")
    return (real / "blimp").absolute() if real else write_blimp(tmp_path / "blimp")


def test_from_the_demo_to_a_check_that_turns(
    runs: Path, workbench: WebProcess, blimp: Path, opened: Callable[..., Any], pytestconfig: pytest.Config
):
    make_demo(runs.parent)
    page = opened(workbench)
    # Where is it? In the list, then on its page: what is next, in one sentence with one command.
    page.click("a:has-text('demo-1')")
    page.wait_for_selector("h2:text-is('Next')")
    page.click("nav a:text-is('Gate')")
    page.wait_for_selector("#again")
    # Is it a release? The gate of a release says no, and why.
    judge_again(page, "skill_release")
    page.wait_for_selector(".verdict-word:has-text('blocked')", timeout=PATIENCE_MS)
    shown = commands_for(page, "external.rows")
    assert len(shown) == 2 and shown[0].startswith("picochat eval benchmark") and "FOLDER_WITH_BLIMP" in shown[0]
    # The commands of the page, where everything began; the page is left open and turns by itself.
    for command in shown:
        words = shlex.split(command.replace("FOLDER_WITH_BLIMP", str(blimp)))
        assert words[0] == "picochat"
        assert picochat(*words[1:], cwd=runs.parent).returncode in (0, BLOCKED)
    # Digests are registered of the published files alone.
    for check in ("external.rows", *(["external.digest"] if pytestconfig.getoption("--real-data") else [])):
        page.wait_for_selector(f"#checks tr:has-text('{check}'):has-text('pass')", timeout=PATIENCE_MS)
        page.wait_for_selector(f"#repairs:not(:has-text('{check}'))", timeout=PATIENCE_MS)


def test_a_damaged_file_blocks_and_what_the_page_shows_mends_it(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    """The whole verdict: from warn to blocked and back, each seen on a page that nobody loaded again."""
    make_demo(runs.parent)
    page = opened(workbench, "#/runs/demo-1/gate")
    page.wait_for_selector(".verdict-word:has-text('warn')")
    flip_byte(runs / "demo-1" / layout.EVAL / layout.ROWS)
    page.wait_for_selector(".verdict-word:has-text('stale')", timeout=PATIENCE_MS)
    judge_again(page, "research")
    page.wait_for_selector(".verdict-word:has-text('blocked')", timeout=PATIENCE_MS)
    assert "verify.chain" in page.inner_text(".verdict-word")
    shown = commands_for(page, "gate.evidence")
    assert shown[0].startswith("picochat eval skills")
    for command in shown:
        picochat(*shlex.split(command)[1:], cwd=runs.parent)
    page.wait_for_selector(".verdict-word:has-text('warn')", timeout=PATIENCE_MS)
