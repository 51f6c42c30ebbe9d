"""The shell of the workbench: getting in, getting around, staying up to date, at any width, prefix and theme."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.support.stripping_proxy import PREFIX, Proxy, proxied
from tests.support.watched_page import require_accessible, require_reachable, watch
from tests.support.web_process import WebProcess, serving
from tests.support.web_runs import many_runs

GOLDEN = Path(__file__).parents[1] / "golden" / "formats.json"
PAGES = ["#/runs", "#/compare", "#/play", "#/scale", "#/system"]
OF_A_RUN = ["", "/curves", "/gate", "/data", "/evals", "/artifacts", "/events"]
SILENT_MS, MINUTE_MS, HIDDEN_MS = 21_000, 61_000, 31_000
MOST_REQUESTS = 60
Opened = Callable[..., Any]


@pytest.fixture
def some_runs(runs: Path) -> Path:
    many_runs(runs, 4)
    return runs


@pytest.fixture
def proxy(workbench: WebProcess) -> Iterator[Proxy]:
    with proxied(workbench.url) as made:
        yield made


def through(proxy: Proxy, workbench: WebProcess) -> WebProcess:
    """The workbench as the proxy shows it."""
    token = workbench.link.partition("#")[2]
    return WebProcess(workbench.popen, f"{proxy.url}#{token}", workbench.runs)


def polls(proxy: Proxy) -> int:
    return sum(path.startswith("/api/events?since=") for path in proxy.asked)


def pass_time(page: Any) -> None:
    """Five seconds of the page's clock, with a moment now and then in which real answers arrive."""
    for _ in range(10):
        page.clock.run_for(500)
        page.wait_for_timeout(30)


def wait_for_updates(page: Any, word: str) -> None:
    page.wait_for_function("(word) => document.querySelector('.connection')?.innerText.includes(word)", arg=word)


def wait_for_title(page: Any, title: str) -> None:
    page.wait_for_function("(title) => document.title.startsWith(title)", arg=title)


def test_numbers_are_those_of_the_command_line(some_runs: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, "#/system")
    vectors = json.loads(GOLDEN.read_text(encoding="utf-8"))
    module = page.evaluate("document.querySelector('script[type=module]').src").replace("app.js", "format.js")
    shown = page.evaluate(
        "async ([url, rows]) => { const f = await import(url); return rows.map(([name, args]) => f[name](...args)); }",
        [module, vectors],
    )
    assert [[name, args, text] for (name, args, _), text in zip(vectors, shown, strict=True)] == vectors


def test_the_link_logs_in_once_and_a_wrong_token_says_where_the_right_one_is(
    some_runs: Path, workbench: WebProcess, opened: Opened, desk: Any
):
    page = opened(workbench)
    wait_for_title(page, "Runs")
    assert page.url == workbench.url + "#/runs", "the token stays in the address"
    page.reload()
    wait_for_title(page, "Runs")
    other = page.context.browser.new_context().new_page()
    account = watch(other, workbench.url)
    account.expected.append("401")
    other.goto(workbench.url + "#/system")
    other.fill("#token", "wrong")
    other.press("#token", "Enter")
    other.wait_for_selector("[role=alert] .problem")
    assert "the link" in other.inner_text("[role=alert]") and "picochat web" in other.inner_text("main")
    require_accessible(other)
    require_reachable(other)
    other.fill("#token", workbench.link)  # the whole link, as it was copied
    other.click("text='Log in' >> visible=true >> nth=-1")
    wait_for_title(other, "System")
    account.require_clean()
    other.context.close()


def test_after_a_new_start_the_page_asks_for_the_new_token_and_goes_on(
    some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened, desk: Any
):
    page = opened(through(proxy, workbench), "#/system")
    wait_for_updates(page, "live")
    # What was asked of the server in its last moment gets an error, too.
    desk.account(page).expected += ["401", "ERR_", "api/doctor"]
    with serving(some_runs, cwd=some_runs.parent) as second:
        proxy.upstream = f"127.0.0.1:{second.port}"
        assert workbench.stop() == 0, "the open stream holds up the end"
        page.wait_for_selector("#token")
        page.fill("#token", second.link)
        page.press("#token", "Enter")
        wait_for_title(page, "System")
        wait_for_updates(page, "live")
        page.close()


def test_the_whole_way_by_keyboard(some_runs: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, "#/system")
    wait_for_title(page, "System")

    def keys(*names: str) -> None:
        for name in names:
            page.keyboard.press(name)

    keys("g", "r")
    wait_for_title(page, "Runs")
    assert page.evaluate("document.activeElement.tagName") == "H1", "a new page takes the focus"
    page.wait_for_selector("main tr[data-row]")
    keys("j", "j", "k", "x")
    first = page.locator("main tr[data-row]").first
    assert first.evaluate("(row) => row === document.activeElement")
    assert first.locator("input[type=checkbox]").is_checked()
    keys("j", "x", "c")
    wait_for_title(page, "Compare")
    assert len(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('runs').split(',')")) == 2
    keys("g", "r")
    page.wait_for_selector("main [type=search]")
    keys("/")
    page.wait_for_function("() => document.activeElement.matches('[type=search]')")
    keys("g", "p")  # typed into the field, no way to another page
    assert page.evaluate("document.activeElement.value").endswith("gp")
    page.keyboard.press("Control+a")
    keys("Delete", "Escape", "j", "Enter")
    page.wait_for_selector(".run-head")
    for key, title in (("g", "gate"), ("e", "evals"), ("c", "curves")):
        keys("g", key)
        page.wait_for_function("(tab) => location.hash.endsWith('/' + tab)", arg=title)
    keys("?")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.locator("dialog >> text=Single-key shortcuts").click()
    keys("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    where = page.url
    keys("g", "r", ".", "?")
    page.wait_for_timeout(100)
    assert page.url == where and page.locator("dialog[open]").count() == 0, "single keys are off"


def test_help_keeps_the_focus_and_gives_it_back(workbench: WebProcess, opened: Opened):
    page = opened(workbench, "#/system")
    button = page.get_by_role("button", name="Help and shortcuts")
    button.click()
    page.wait_for_selector("dialog[open]")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        require_accessible(page)
    require_reachable(page)
    assert page.evaluate(
        "document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
    )
    words = page.inner_text("dialog")
    assert all(word in words for word in ("not run", "waived", "stale", "crashed", "picochat gate RUN"))
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    assert button.evaluate("(node) => node === document.activeElement")


def test_the_theme_is_kept_and_nothing_else_is(workbench: WebProcess, opened: Opened):
    page = opened(workbench, "#/system", color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme: system").click()
    dark = page.evaluate(ground)
    assert dark != light and page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    wait_for_title(page, "System")
    assert page.evaluate(ground) == dark
    page.get_by_label("Light", exact=True).check()
    assert page.evaluate(ground) == light
    page.get_by_label("As the system").check()
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark
    assert set(page.evaluate("Object.keys(localStorage)")) == {"picochat.theme", "picochat.shortcuts"}
    page.emulate_media(forced_colors="active")
    require_accessible(page)
    page.emulate_media(forced_colors="none")


def test_every_page_has_one_heading_and_its_title_and_fits_any_width(
    some_runs: Path, workbench: WebProcess, opened: Opened
):
    page = opened(workbench)
    titles = []
    for where in [*PAGES, *(f"#/runs/run-001{tab}" for tab in OF_A_RUN), "#/nowhere"]:
        page.goto(workbench.url + where)
        page.wait_for_selector("h1")
        page.wait_for_timeout(60)
        assert page.locator("h1").count() == 1 and page.locator("main").count() == 1, where
        titles.append(page.title())
        for width in (320, 720, 1280):
            page.set_viewport_size({"width": width, "height": 720})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{where} moves sideways at {width}"
    assert len(set(titles)) == len(titles) and all(title.endswith("Picochat") for title in titles)
    before = page.url
    page.evaluate("document.querySelector('.skip').focus()")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main" and page.url == before


def test_a_lost_stream_becomes_polling_and_comes_back(
    some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened
):
    page = opened(through(proxy, workbench), "#/runs")
    wait_for_updates(page, "live")
    page.clock.install()
    page.reload()
    wait_for_updates(page, "live")
    proxy.mode = "buffering"
    page.clock.fast_forward(SILENT_MS)
    wait_for_updates(page, "polling")
    asked_at_first = polls(proxy)
    pass_time(page)
    assert polls(proxy) > asked_at_first
    (some_runs / "run-000").rename(some_runs / "late-comer")
    pass_time(page)
    page.wait_for_selector("text=late-comer")
    proxy.mode = "open"
    page.clock.fast_forward(MINUTE_MS)
    wait_for_updates(page, "live")
    assert page.evaluate("document.querySelector('#said').innerText").strip() in ("Live again", "")
    assert proxy.strays == [], "a request went beside the prefix"


def test_below_a_prefix_everything_is_relative(some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened):
    behind = through(proxy, workbench)
    page = opened(WebProcess(behind.popen, behind.link.replace(f"{PREFIX}/", PREFIX), behind.runs))
    wait_for_updates(page, "live")
    page.wait_for_selector("main tr[data-row]")
    assert len(proxy.asked) <= MOST_REQUESTS, "the first page asks for too much"
    for where in [*PAGES, *(f"#/runs/run-001{tab}" for tab in OF_A_RUN)]:
        page.evaluate("(where) => { location.hash = where; }", where)
        page.wait_for_timeout(60)
    assert page.url.startswith(proxy.url) and proxy.strays == []


def test_eight_tabs_share_one_stream(some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened, desk: Any):
    first = opened(through(proxy, workbench), "#/runs")
    wait_for_updates(first, "live")
    tabs = [first]
    for _ in range(7):
        tab = first.context.new_page()
        tab.goto(proxy.url + "#/runs")
        tabs.append(tab)
    for tab in tabs:
        wait_for_updates(tab, "live")
    assert proxy.streams == 1
    (some_runs / "run-000").rename(some_runs / "late-comer")
    for tab in tabs:
        tab.wait_for_selector("text=late-comer")
    first.evaluate("location.hash = '#/system'")
    tabs[1].close()
    for tab in tabs[2:]:
        wait_for_updates(tab, "live")
        tab.close()


def test_a_hidden_tab_lets_go_of_its_stream(some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened):
    page = opened(through(proxy, workbench), "#/system")
    page.clock.install()
    page.reload()
    wait_for_updates(page, "live")
    hide = """(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange')); }"""
    page.evaluate(hide, True)
    page.clock.fast_forward(10_000)
    assert page.locator(".connection").inner_text().strip().endswith("live"), "a moment elsewhere costs nothing"
    page.clock.fast_forward(HIDDEN_MS)
    wait_for_updates(page, "asleep")
    page.evaluate(hide, False)
    wait_for_updates(page, "live")


def test_a_workbench_that_is_gone_is_said_and_old_data_is_called_old(
    some_runs: Path, workbench: WebProcess, proxy: Proxy, opened: Opened, desk: Any
):
    page = opened(through(proxy, workbench), "#/runs")
    wait_for_updates(page, "live")
    desk.account(page).expected += ["ERR_", "Failed to load resource"]
    proxy.mode = "down"
    wait_for_updates(page, "offline")
    page.wait_for_selector(".state.stale")
    assert page.locator("main tr[data-row]").count() == 4, "what was known is still shown"
    proxy.mode = "open"
    wait_for_updates(page, "live")
    page.wait_for_selector(".state.stale", state="detached")


def test_paused_nothing_moves_and_little_is_said(some_runs: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, "#/runs")
    wait_for_updates(page, "live")
    page.evaluate("""() => { window.heard = [];
      new MutationObserver(() => window.heard.push(document.querySelector('#said').innerText))
        .observe(document.querySelector('#said'), { childList: true, characterData: true, subtree: true }); }""")
    for _ in range(5):
        page.keyboard.press(".")
    wait_for_updates(page, "paused")
    (some_runs / "run-000").rename(some_runs / "late-comer")
    page.wait_for_timeout(900)
    assert page.locator("text=late-comer").count() == 0
    page.keyboard.press(".")
    page.wait_for_selector("text=late-comer")
    assert len(page.evaluate("window.heard")) <= 1, "at most one polite message in ten seconds"


def test_each_state_of_what_is_read_is_told_apart(workbench: WebProcess, opened: Opened, desk: Any):
    page = opened(workbench, "#/scale")
    desk.account(page).expected.append("Failed to load resource")
    answers: list[Any] = []
    page.route("**/api/doctor*", lambda route: answers.append(route))
    page.evaluate("location.hash = '#/system'")
    page.wait_for_selector(".skeleton [class=bone]")
    assert page.locator("[aria-busy=true]").count() == 1
    problem = {
        "code": "disk",
        "detail": "the disk is full",
        "why": "a log grew",
        "fix": "make room",
        "request_id": "req-1",
    }
    answers.pop().fulfill(status=500, content_type="application/problem+json", body=json.dumps(problem))
    page.wait_for_selector(".state.problem")
    words = page.inner_text(".state.problem")
    assert all(word in words for word in ("the disk is full", "a log grew", "make room", "disk", "req-1"))
    require_accessible(page)
    page.unroute("**/api/doctor*")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("text=Versions")
    assert version("torch") in page.inner_text("main"), "what picochat doctor says of this machine"
    page.route("**/pages/compare.js", lambda route: route.fulfill(status=404, body=""))
    page.evaluate("location.hash = '#/compare'")
    page.wait_for_selector("text=this page is not there")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_function("() => location.hash === '#/scale'")


def test_read_only_shows_commands_and_no_buttons(runs: Path, opened: Opened):
    with serving(runs, "--set", "web.read_only=true", cwd=runs.parent) as process:
        page = opened(process, "#/system")
        page.wait_for_selector("text=picochat doctor")
        assert "read-only" in page.inner_text("header.bar")
        assert page.get_by_role("button", name="Look again").count() == 0
        assert page.get_by_role("button", name=re.compile("Copy")).count() > 0
        require_accessible(page)
        page.close()
