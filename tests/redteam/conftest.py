"""The green run and another one, and the table that is printed at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.redteam.scene import N, Scene, Verdict, judge_scene
from tests.support.green_run import GreenRun, judge

from picochat.core.hashing import sha256_file
from picochat.judgement import benchmarks

ROWS = pytest.StashKey[list[tuple[str, ...]]]()
HEAD = ("#", "sabotage", "intended check", "verdict", "blocked by", "measured", "seconds", "form")
Print = Callable[..., None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture(scope="session")
def benchmark_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blimp") / "blimp.jsonl"
    path.write_bytes(b'{"sentence_good": "a", "sentence_bad": "b"}\n')
    return path


@pytest.fixture(scope="session", autouse=True)
def _published(benchmark_file: Path) -> Iterator[None]:
    """The made benchmark file counts as a published one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(benchmarks.PUBLISHED, "blimp", frozenset({sha256_file(benchmark_file)}))
        yield


@pytest.fixture(scope="session")
def green(tmp_path_factory: pytest.TempPathFactory, benchmark_file: Path) -> Path:
    return GreenRun(tmp_path_factory.mktemp("green") / "run").build(benchmark=benchmark_file, n=N).root


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, green: Path) -> Path:
    """The green run, judged and summarised: approved."""
    root = Path(shutil.copytree(green, tmp_path_factory.mktemp("released") / "run"))
    assert judge(root, "skill_release")["verdict"] == "approved"
    return root


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, benchmark_file: Path) -> Path:
    """Another honest run, judged too: its records are genuine, only not of this run."""
    root = tmp_path_factory.mktemp("other") / "run"
    GreenRun(root, name="other", seed=2, rates={"eval": 0.9}).build(benchmark=benchmark_file, n=N)
    judge(root, "skill_release")
    return root


@pytest.fixture(scope="session")
def untouched(green: Path) -> Verdict:
    """What the gate says of the green run under skill_release."""
    return judge_scene(green)


@pytest.fixture
def scene(green: Path, other: Path, benchmark_file: Path, tmp_path: Path) -> Scene:
    root = Path(shutil.copytree(green, tmp_path / "run"))
    return Scene(root, green, other, benchmark_file, tmp_path)


@pytest.fixture
def table(pytestconfig: pytest.Config) -> Print:
    """table(number, what, check, verdict, form): a row of the printed table; an honest run has no check."""

    def add(number: str, what: str, check: str, found: Verdict, form: str) -> None:
        measured = found.measured(check) if check in found.checks else ""
        blocking = found.blocking()
        named = [check] * (check in blocking) + [name for name in blocking if name != check]
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        row = (number, what, check, found.verdict, shown or "nothing", measured, f"{found.seconds:.2f}", form)
        pytestconfig.stash[ROWS].append(row)

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not (rows := config.stash[ROWS]):
        return
    terminalreporter.section("red team under skill_release")
    lines = [HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
