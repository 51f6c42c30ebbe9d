"""A page of Chromium that keeps account of what no page of the workbench may do.

watch(page, own)        from now on: foreign requests, console errors and warnings, uncaught errors, CSP violations
account.require_clean() fails with what was seen
require_accessible      axe-core, WCAG A and AA of 2.0 to 2.2, in an isolated world: the page's own policy stays strict
require_reachable       the tab key reaches every control that is shown, and shows where it is
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
MOST_TABS = 160
INLINE = ("data:", "blob:", "about:")
LISTEN = """document.addEventListener('securitypolicyviolation', (event) =>
  window.noteViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""
CONTROLS = """(most) => {
  const dialog = document.querySelector('dialog[open]');
  const root = dialog || document;
  const shown = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;
  const nodes = [...root.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex="0"], [contenteditable]')];
  const wanted = nodes.filter((node) => shown(node) && !node.disabled && node.tabIndex >= 0 && !node.closest('[inert]')
    && !(node.type === 'radio' && !node.checked));
  window.__wanted = wanted.slice(0, most);
  window.__reached = new Set();
  window.__hidden = [];
  document.activeElement?.blur?.();
  return window.__wanted.length;
}"""
STEP = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const style = getComputedStyle(node);
  const visible = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  if (!visible) window.__hidden.push(node.outerHTML.slice(0, 120));
  window.__reached.add(node);
  return true;
}"""
MISSED = """() => ({
  missed: window.__wanted.filter((node) => node.isConnected && node.checkVisibility() && !window.__reached.has(node))
    .map((node) => node.outerHTML.slice(0, 160)),
  hidden: window.__hidden,
})"""


@dataclass
class Account:
    """What a page did that it may not do. A test that provokes a refusal adds the words to `expected`."""

    own: str
    foreign: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Words of console messages that a test means to see: the browser itself reports each refused request."""

    def require_clean(self) -> None:
        console = [text for text in self.console if not any(word in text for word in self.expected)]
        assert not self.foreign, f"external requests: {self.foreign}"
        assert not self.errors, f"uncaught errors: {self.errors}"
        assert not self.violations, f"violations of the content security policy: {self.violations}"
        assert not console, f"console errors or warnings: {console}"


def watch(page: Page, own: str) -> Account:
    """Begins to keep account. `own` is how the server's URLs begin."""
    account = Account(own)

    def on_request(request: Request) -> None:
        if not request.url.startswith((own, *INLINE)):
            account.foreign.append(request.url)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            account.console.append(f"{message.text} {message.location.get('url', '')}")

    page.on("request", on_request)
    page.on("console", on_console)
    page.on("pageerror", lambda error: account.errors.append(str(error)))
    page.expose_function("noteViolation", lambda text: account.violations.append(text))
    page.add_init_script(LISTEN)
    return account


@lru_cache
def axe_source() -> str:
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def require_accessible(page: Page) -> None:
    """Fails with every violation that axe finds: rule, count, first place."""
    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]

        def evaluate(expression: str) -> Any:
            asked = {"expression": expression, "contextId": world, "awaitPromise": True, "returnByValue": True}
            answer = session.send("Runtime.evaluate", asked)
            assert "exceptionDetails" not in answer, answer["exceptionDetails"]
            return answer["result"].get("value")

        evaluate(axe_source() + "; undefined")
        rules = f"{{runOnly: {{type: 'tag', values: {WCAG}}}, resultTypes: ['violations']}}"
        found = evaluate(
            f"axe.run(document, {rules}).then((all) => all.violations.map((v) => [v.id, v.help, v.nodes.length, "
            "v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + ' ' + (n.any[0]?.message ?? '')).join(' | ')]))"
        )
    finally:
        session.detach()
    assert not found, "axe: " + "\n".join(map(str, found))


def require_reachable(page: Page) -> None:
    """Walks with the tab key over the page, or over the dialog that is open."""
    count = page.evaluate(CONTROLS, MOST_TABS)
    for _ in range(count + 12):
        page.keyboard.press("Tab")
        if page.evaluate(STEP) is None and page.evaluate("window.__reached.size") >= count:
            break
        if page.evaluate("window.__wanted.every((node) => window.__reached.has(node) || !node.isConnected)"):
            break
    found = page.evaluate(MISSED)
    assert not found["missed"], f"the tab key does not reach: {found['missed']}"
    assert not found["hidden"], f"focus is not shown on: {found['hidden']}"
