"""The green run and another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.redteam.scene import N, Scene, Verdict, judge_scene
from tests.support.green_run import GreenRun, judge
from tests.support.published_file import benchmark_file, published
from tests.support.redteam_table import ROW

__all__ = ["benchmark_file", "published"]
"""Fixtures of others, which pytest finds here."""

Print = Callable[..., None]


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
def table(request: pytest.FixtureRequest) -> Print:
    """table(number, what, check, verdict, form): a row of the printed table; an honest run has no check."""

    def add(number: str, what: str, check: str, found: Verdict, form: str) -> None:
        measured = found.measured(check) if check in found.checks else ""
        blocking = found.blocking()
        named = [check] * (check in blocking) + [name for name in blocking if name != check]
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        row = (number, what, check, found.verdict, shown or "nothing", measured, f"{found.seconds:.2f}", form)
        request.node.user_properties.append((ROW, row))

    return add
