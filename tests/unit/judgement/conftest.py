"""A green run, built once: `bare` as training left it, `judged` with gate and summary; tests work on copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.green_run import GreenRun, judge
from tests.support.published_file import benchmark_file, published

__all__ = ["benchmark_file", "published"]
"""Fixtures of others, which pytest finds here."""


N = 100
"""Rows a skill: the fewest that a release profile judges."""
FEW = 10
"""Rows a skill where only the chain matters."""


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, benchmark_file: Path) -> Path:
    return GreenRun(tmp_path_factory.mktemp("bare") / "run").build(benchmark=benchmark_file, n=N).root


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, benchmark_file: Path) -> Path:
    root = tmp_path_factory.mktemp("judged") / "run"
    GreenRun(root).build(benchmark=benchmark_file, n=FEW)
    judge(root, "skill_release")
    return root


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, benchmark_file: Path) -> Path:
    """Another run, judged too: its records are genuine, only not of this run."""
    root = tmp_path_factory.mktemp("other") / "run"
    GreenRun(root, name="other", seed=2, rates={"eval": 0.8}).build(benchmark=benchmark_file, n=FEW)
    judge(root, "skill_release")
    return root


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    def copy_run(source: Path) -> Path:
        return Path(shutil.copytree(source, tmp_path / "run"))

    return copy_run
