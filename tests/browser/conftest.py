"""Chromium on a real `picochat web`. Where there is no browser these tests skip and say so.

browser   one a file; page: a fresh context, and after each test the account of it is settled (see watched_page)
opened    page that is logged in: opened(workbench, "#/runs")
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.web_process import WebProcess, serving
from tests.support.web_runs import finished_run

playwright = pytest.importorskip("playwright.sync_api", reason="NOT RUN: playwright is not installed")
from tests.support.watched_page import Account, require_accessible, require_reachable, watch  # noqa: E402

SIZE = {"width": 1280, "height": 720}
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 10_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One a file: while Playwright's driver lives, its event loop runs in this thread, and no other may."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"NOT RUN: none of {', '.join(NAMES)} is installed")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=[*sandbox, "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run, from text to verdict, made once; tests copy it."""
    return finished_run(tmp_path_factory)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder of runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def workbench(runs: Path) -> Iterator[WebProcess]:
    """A server on the folder `runs`, which a test fills before or while it serves."""
    with serving(runs, cwd=runs.parent) as process:
        yield process


class Desk:
    """Opens pages and keeps their accounts."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._open: list[tuple[Any, Account]] = []

    def open(self, process: WebProcess, where: str = "", **context: Any) -> Any:
        """A page of a fresh context that followed the printed link and went on to `where`, such as `#/runs`."""
        fresh = self._browser.new_context(viewport=SIZE, reduced_motion="reduce", **context)
        fresh.set_default_timeout(PATIENCE_MS)
        page = fresh.new_page()
        self._open.append((page, watch(page, process.url)))
        page.goto(process.link)
        page.wait_for_selector("h1")
        if where:
            page.goto(process.url + where)
            page.wait_for_selector("h1")
        return page

    def account(self, page: Any) -> Account:
        return next(account for known, account in self._open if known is page)

    def settle(self) -> None:
        """What every test asserts of every page that it left open."""
        for page, account in self._open:
            if not page.is_closed():
                page.wait_for_timeout(100)
                page.evaluate("scrollTo(0, 0)")  # what lies half under the bar is no fault of its size
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    require_accessible(page)
                require_reachable(page)
            account.require_clean()

    def describe(self, folder: Path) -> None:
        """For a test that failed: a picture of each page, and its account, among what pytest prints."""
        for number, (page, account) in enumerate(self._open):
            picture = folder / f"page-{number}.png"
            if not page.is_closed():
                page.screenshot(path=picture)
                print(picture, page.url, page.evaluate("document.body.innerText")[:2000])
            print(account)

    def close(self) -> None:
        for page, _ in self._open:
            page.context.close()


@pytest.fixture
def desk(browser: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """Pages whose accounts are settled when the test itself did not fail."""
    made = Desk(browser)
    try:
        yield made
        report = getattr(request.node, "call_report", None)
        if report is None or report.passed:
            made.settle()
        else:
            made.describe(tmp_path)
    finally:
        made.close()


@pytest.fixture
def opened(desk: Desk) -> Callable[..., Any]:
    """opened(workbench, "#/runs/tiny-1") -> page"""
    return desk.open


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    report = yield
    if report.when == "call":
        item.call_report = report  # type: ignore[attr-defined]
    return report
