"""Every test here starts processes that talk over gloo; all are marked `distributed`."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command, prepare
from tests.support.launched import TWO_MICRO_BATCHES, run_launched

from picochat.artifacts.store import RunStore

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.distributed)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Corpus and tokenizer, made once."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> RunStore:
    """Eighty steps on two ranks that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_launched(folder, *command(prepared, folder / "run", base_settings(**TWO_MICRO_BATCHES)))
    assert done.returncode == 0, done.output[-3000:]
    return RunStore(folder / "run")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port of the loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find
