"""What every browser test asserts at its end can fail: a page that does each forbidden thing is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.watched_page import require_accessible, require_reachable, watch

OWN = "http://127.0.0.1:9/"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'"
GOOD = "<h1>Runs</h1><p>One run.</p><a href='#/runs'>Runs</a> <button>Stop</button>"


@pytest.fixture
def show(browser: Any) -> Any:
    """show(body, script) -> page and account, served from nowhere under the workbench's policy."""
    contexts = []

    def show_page(body: str, script: str = "", csp: str = POLICY) -> tuple[Any, Any]:
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        account = watch(page, OWN)
        html = f"<!doctype html><html lang=en><title>x</title><main>{body}</main><script src=x.js></script></html>"

        def answer(route: Any) -> None:
            url = route.request.url
            if url == OWN:
                route.fulfill(body=html, content_type="text/html", headers={"content-security-policy": csp})
            elif url == OWN + "x.js":
                route.fulfill(body=script, content_type="text/javascript")
            else:
                route.fulfill(status=404, body="")

        page.route("**/*", answer)
        page.goto(OWN)
        page.wait_for_timeout(100)
        return page, account

    yield show_page
    for context in contexts:
        context.close()


def test_a_good_page_is_clean(show: Callable[..., Any]):
    page, account = show(GOOD)
    require_accessible(page)
    require_reachable(page)
    account.require_clean()


@pytest.mark.parametrize(
    ("body", "script", "csp", "word"),
    [
        (GOOD, "new Image().src = 'http://evil.example/x.png'", "", "external"),
        (GOOD, "console.error('lost')", POLICY, "console"),
        (GOOD, "console.warn('odd')", POLICY, "console"),
        (GOOD, "setTimeout(() => { throw new Error('boom') })", POLICY, "uncaught"),
        ("<p style='color: red'>x</p>", "", POLICY, "content security policy"),
        (GOOD, "document.querySelector('p').innerHTML = '<b>x</b>'", POLICY, "uncaught|content security policy"),
    ],
)
def test_what_a_page_may_not_do_is_noticed(show: Callable[..., Any], body: str, script: str, csp: str, word: str):
    _, account = show(body, script, csp or "default-src *; script-src *")
    with pytest.raises(AssertionError, match=word):
        account.require_clean()


@pytest.mark.parametrize("body", ["<img src=x.js>", "<button></button>", "<input type=text>"])
def test_what_nobody_can_read_is_noticed(show: Callable[..., Any], body: str):
    page, _ = show(body)
    with pytest.raises(AssertionError, match="axe"):
        require_accessible(page)


@pytest.mark.parametrize(
    ("body", "script", "word"),
    [
        (
            GOOD,
            "const b = document.querySelector('button'); document.querySelector('a').onfocus = () => b.disabled = true;"
            "document.querySelector('a').onblur = () => b.disabled = false;",
            "does not reach",
        ),
        (GOOD, "document.querySelector('a').onfocus = (e) => { e.target.style.outline = 'none' }", "not shown"),
    ],
)
def test_what_the_keyboard_cannot_reach_or_show_is_noticed(show: Callable[..., Any], body: str, script: str, word: str):
    page, _ = show(body, script)
    with pytest.raises(AssertionError, match=word):
        require_reachable(page)
