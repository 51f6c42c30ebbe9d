"""`tmp_path` in memory, for tests that save often: a kill is no power cut, so a disk would prove nothing more."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture(name="tmp_path")
def memory_path(tmp_path):
    """A new folder in memory where there is such a place, else the usual one."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)
