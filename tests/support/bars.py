"""Bars: what must hold, one line each at the end of a test run: passed, failed or NOT RUN with the reason.

A test that proves a part of a bar carries the bar's name and says what it measured:

    @pytest.mark.bar("A1")
    def test_kills(size, measured):
        rounds = size(short=12, full=200)
        ...
        measured(f"{rounds} of {rounds} kills left the old or the new checkpoint")

A bar has passed when every part of it ran and passed. A part that was skipped, deselected or never reached makes the
bar NOT RUN, which is never a pass; with --require-all it makes the whole test run fail, and so do bars without a test.

Where several processes run the tests (pytest -n), each tells at its end what became of its parts, and the first process
prints the lines. What a process that died did not tell is NOT RUN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field
from typing import Any

import pytest

BARS = {
    "A1": "kill -9 around saves",
    "A2": "every system call of a save killed or failed",
    "A3": "power cuts",
    "A4": "damaged and forged checkpoints",
    "A5": "swaps beside a loader",
    "A6": "full disk",
    "B1": "a resume equals no resume",
    "B2": "every saved item counts",
    "B3": "other world sizes",
    "C1": "ranks that die or stop",
    "C2": "long set-ups",
    "C3": "signals",
    "C4": "numbers that are not finite",
    "C5": "flipped bits in a replica",
    "D0": "inputs hashed again",
    "D1": "planted contamination",
    "D2": "disjoint splits",
    "D3": "no silent fallback",
    "E1": "attacks on the workbench",
    "E2": "abuse of the server",
    "E3": "escapes from the sandbox",
    "F1": "mutants of a release",
}
PASSED, FAILED, NOT_RUN = "passed", "failed", "NOT RUN"
STATES = {"passed": PASSED, "skipped": NOT_RUN}
"""Every other outcome, an expected failure included, counts as failed."""
Size = Callable[[int, int], int]
Measured = Callable[[str], None]


@dataclass
class Part:
    """One test of a bar: how it ended, its reason when it was not run, what it measured."""

    state: str = NOT_RUN
    reason: str = "the test run ended before it"
    figures: list[str] = field(default_factory=list)


PARTS = pytest.StashKey[dict[str, dict[str, Part]]]()
"""{bar: {test: part}} of one test run."""
TOLD = "bars"
"""Under which name a process of several tells its parts."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bars")
    group.addoption("--full", action="store_true", help="campaigns in their full size; default: a short form")
    group.addoption("--require-all", action="store_true", help="fail when a bar is NOT RUN, or has no test here")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PARTS] = {}


@pytest.fixture
def size(pytestconfig: pytest.Config) -> Size:
    """size(short=12, full=200): how many rounds this test run asks for."""

    def choose(short: int, full: int) -> int:
        return full if pytestconfig.getoption("--full") else short

    return choose


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """measured("200 of 200 ..."): the figure that stands beside the bar; a test may give several."""
    return lambda figure: request.node.user_properties.append(("measured", figure))


def bars_of(item: pytest.Item) -> list[str]:
    """The bars of a test. An unknown name is an error of whoever wrote the test."""
    names = [name for mark in item.iter_markers("bar") for name in mark.args]
    if unknown := [name for name in names if name not in BARS]:
        raise pytest.UsageError(f"{item.nodeid}: no such bar: {', '.join(unknown)}")
    return list(dict.fromkeys(names))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        # No part of the short form, and the summary says which form it was.
        items[:] = [item for item in items if not item.get_closest_marker("full_size")]
    for item in items:
        for bar in bars_of(item):
            config.stash[PARTS].setdefault(bar, {}).setdefault(item.nodeid, Part())
            item.user_properties.append(("bar", bar))


def pytest_deselected(items: Iterable[pytest.Item]) -> None:
    """A part that was left out by -k or -m shows, when another part of its bar runs."""
    for item in items:
        for bar in bars_of(item):
            item.config.stash[PARTS].setdefault(bar, {})[item.nodeid] = Part(reason="deselected")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    outcome = yield
    for bar in bars_of(item):
        _note(item.config.stash[PARTS][bar][item.nodeid], outcome.get_result())


def _note(part: Part, report: pytest.TestReport) -> None:
    """Setup, call and teardown each report: the worst of the three counts."""
    state = FAILED if hasattr(report, "wasxfail") else STATES.get(report.outcome, FAILED)
    if state == PASSED and report.when != "call":
        return
    if part.state != FAILED:
        part.state = state
    part.reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    part.figures = [str(value) for name, value in report.user_properties if name == "measured"]


def verdict(parts: Iterable[Part]) -> tuple[str, str]:
    """(state, words) of a bar: one failed part fails it, one part that did not run makes it NOT RUN."""
    parts = list(parts)
    states = {part.state for part in parts}
    state = next((name for name in (FAILED, NOT_RUN) if name in states), PASSED)
    words = [figure for part in parts for figure in part.figures]
    if failed := sum(part.state == FAILED for part in parts):
        words.insert(0, f"{failed} of {len(parts)} tests failed")
    missing = [part.reason.removeprefix("NOT RUN: ") for part in parts if part.state == NOT_RUN]
    for reason in dict.fromkeys(missing):
        words.append(f"not run, {missing.count(reason)} of {len(parts)} tests: {reason}")
    return state, "; ".join(words) or f"{len(parts)} of {len(parts)} tests"


def verdicts(config: pytest.Config) -> dict[str, tuple[str, str]]:
    """The bars of this test run; under --require-all also those without any test in it."""
    found = config.stash[PARTS]
    rows = {}
    for bar in BARS:
        parts = found.get(bar, {}).values()
        if any(part.reason != "deselected" for part in parts):
            rows[bar] = verdict(parts)
        elif config.getoption("--require-all"):
            rows[bar] = (NOT_RUN, "no test of it in this test run")
    return rows


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = verdicts(config)
    if not rows or config.getoption("collectonly"):
        return
    form = "full size" if config.getoption("--full") else "short form, the full size is --full"
    terminalreporter.section(f"bars ({form})")
    colours = {PASSED: {"green": True}, FAILED: {"red": True}, NOT_RUN: {"yellow": True}}
    for bar, (state, words) in rows.items():
        terminalreporter.write(f"{bar}  {state:<7}  ", **colours[state])
        terminalreporter.write_line(f"{BARS[bar]}: {words}")


def tell(parts: dict[str, dict[str, Part]]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Parts in types that travel from one process to another."""
    return {bar: {test: astuple(part) for test, part in tests.items()} for bar, tests in parts.items()}


def hear(parts: dict[str, dict[str, Part]], told: dict[str, dict[str, tuple[Any, ...]]]) -> None:
    """Adds what one process told. Every process knows of all tests; only one has run each."""
    for bar, tests in told.items():
        for test, (state, reason, figures) in tests.items():
            part = Part(state, reason, list(figures))
            if part != Part() or test not in parts.setdefault(bar, {}):
                parts.setdefault(bar, {})[test] = part


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes has ended; one that died has told nothing."""
    hear(node.config.stash[PARTS], getattr(node, "workeroutput", {}).get(TOLD, {}))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told[TOLD] = tell(session.config.stash[PARTS])
        return
    if not session.config.getoption("--require-all") or session.exitstatus != pytest.ExitCode.OK:
        return
    if any(state == NOT_RUN for state, _ in verdicts(session.config).values()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
