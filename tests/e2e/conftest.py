"""One demo for the whole folder, made as a user makes it: by the program, in an empty folder."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.tiny_run import picochat, set_flags

HERE = Path(__file__).parent
SHORT = {
    "base.loop.tokens": 20_480,
    "sft.loop.tokens": 20_480,
    "data.skills.sft_rows": 600,
    "data.skills.eval_rows_per_skill": 20,
    "data.skills.heldout_rows_per_skill": 20,
    "eval.max_new_tokens": 8,
    "eval.fit_rows_per_category": 10,
    "eval.heldout_rows_per_category": 10,
    "machine.compile": "off",
    "machine.threads": 1,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


class Demo(NamedTuple):
    """A finished demo: where it was started, its run folder, what was said."""

    cwd: Path
    root: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Read only; tests that damage something take `copy_of_demo`."""
    cwd = tmp_path_factory.mktemp("demo")
    done = picochat("demo", *set_flags(SHORT), cwd=cwd)
    assert done.returncode == 0, done.stderr
    return Demo(cwd, cwd / "runs" / "demo-1", done)


@pytest.fixture
def copy_of_demo(demo: Demo, tmp_path: Path) -> Callable[[], Path]:
    def copy() -> Path:
        root = tmp_path / "copy"
        shutil.copytree(demo.root, root)
        return root

    return copy
