"""Options of the test run."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.support.bars", "tests.support.beside", "tests.support.redteam_table"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-data", type=Path, default=None, help="folder with sotu/ and blimp/: adds the tests on real text"
    )


@pytest.fixture(scope="session")
def real_data(pytestconfig: pytest.Config) -> Path:
    """The folder of --real-data; without it the test is skipped and says so."""
    folder = pytestconfig.getoption("--real-data")
    if folder is None or not (folder / "sotu").is_dir():
        pytest.skip("NOT RUN: real text is given with --real-data FOLDER")
    return folder.absolute()
