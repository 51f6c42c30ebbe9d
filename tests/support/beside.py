"""Tests beside each other: `pytest -n 2 --dist loadfile` runs files in two processes, `make test` does.

    @pytest.mark.alone
    def test_the_others_end_within_seconds(): ...

A test that measures time is `alone`: nothing runs beside it, in whichever process. Such tests come last, file by file.
Every process computes with one thread, so that two of them do not fight over two cores.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = pytest.StashKey[Path]()
"""Where the locks of one test run lie."""
HANDED_ON = "beside"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if HANDED_ON in getattr(config, "workerinput", {}):
        config.stash[FOLDER] = Path(config.workerinput[HANDED_ON])  # type: ignore[attr-defined]
    elif config.getoption("numprocesses", None):
        # Before torch is imported anywhere; the processes inherit it.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="picochat-tests-"))
        config.add_cleanup(lambda: shutil.rmtree(config.stash[FOLDER]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A process is about to start."""
    node.workerinput[HANDED_ON] = str(node.config.stash[FOLDER])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=is_alone)


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Set-up and tear-down are part of a test; the time spent waiting here is not."""
    folder = item.config.stash.get(FOLDER, None)
    if folder is None:
        return (yield)
    with room(folder, alone=is_alone(item)):
        return (yield)


@contextmanager
def room(folder: Path, *, alone: bool) -> Iterator[None]:
    """Many are in the room together, or one alone. Whoever waits for it holds the door, so nobody overtakes him."""
    with (folder / "door").open("w") as door, (folder / "room").open("w") as inside:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            # Children of a test may still hold the descriptor; the lock goes all the same.
            fcntl.flock(inside, fcntl.LOCK_UN)
