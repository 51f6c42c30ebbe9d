"""Tests of what only a GPU can show; all are marked `gpu`, and say NOT RUN where there is none.

    make test-gpu                                         what a GPU machine runs, without an install
    python -m pytest tests/gpu --gpu-device cpu           the logic of most of them, on a CPU

Each gives its figures, and a table of all of them stands at the end.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
NO_GPU = "NOT RUN: no GPU"
FIGURES = pytest.StashKey[list[tuple[str, str, str]]]()
"""(test, what, value) in the order in which they were given."""
Figure = Callable[[str, object], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu-device", choices=("cuda", "cpu"), help="cpu checks the logic of the GPU tests without one")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a GPU")
    config.stash[FIGURES] = []


def chosen_device(config: pytest.Config) -> str:
    """cuda, unless the option says otherwise; where these tests are a part of all tests, there is no such option."""
    return config.getoption("gpu_device", None) or "cuda"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = chosen_device(config) == "cuda" and not torch.cuda.is_available()
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.gpu)
            if missing:
                item.add_marker(pytest.mark.skip(reason=NO_GPU))


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """Where the trainings of a test run: cuda, or cpu to check the test itself."""
    return chosen_device(pytestconfig)


@pytest.fixture(scope="session")
def gpu(device: str) -> str:
    """The same for tests that mean nothing without a GPU."""
    if device != "cuda":
        pytest.skip(NO_GPU)
    return device


@pytest.fixture(params=[1, 2], ids=["one", "two"])
def ranks(request: pytest.FixtureRequest, device: str) -> int:
    """Processes of a launch, each with a GPU of its own."""
    if device == "cuda" and torch.cuda.device_count() < request.param:
        pytest.skip("NOT RUN: fewer than 2 GPUs")
    return request.param


@pytest.fixture(autouse=True)
def emptied_cache() -> Iterator[None]:
    """What a test has freed is given back to the GPU: the next one may start processes of its own."""
    yield
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """figure("loss, bf16 / float32", "1.003"): a line of the table at the end; a test may give several."""
    return lambda what, value: request.config.stash[FIGURES].append((request.node.name, what, str(value)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[FIGURES]
    if not rows:
        return
    terminalreporter.section("figures")
    terminalreporter.write_line(describe_machine(chosen_device(config)))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for test, what, value in rows:
        terminalreporter.write_line(f"{test:<{widths[0]}}  {what:<{widths[1]}}  {value}")


def describe_machine(device: str) -> str:
    if device == "cpu":
        return f"torch {torch.__version__} on a CPU: these figures say nothing about a GPU"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{len(names)} x {names[0]}, torch {torch.__version__}, CUDA {torch.version.cuda}"
