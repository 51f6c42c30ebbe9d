"""One finished tiny run for the whole folder; tests that change something copy it first."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.tiny_run import build_run, write_pack

from picochat.artifacts.store import RunStore

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack") / "texts")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> RunStore:
    """Finished, without an interruption, in this process. Read only."""
    return build_run(tmp_path_factory.mktemp("tiny") / "run", pack)


@pytest.fixture
def copy_of(tiny_run: RunStore, tmp_path: Path) -> Callable[[], RunStore]:
    """Makes a copy of the finished run that a test may damage."""

    def copy() -> RunStore:
        root = tmp_path / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tiny_run.root, root)
        return RunStore(root)

    return copy
