"""Rank 0 and a rank that waits for it, without processes."""

import subprocess

import pytest
from tests.support.control_room import MAIN, Room

from picochat.distributed import control
from picochat.distributed.control import ControlWriter


@pytest.fixture(autouse=True)
def no_lingering(monkeypatch):
    monkeypatch.setattr(control, "LINGER_S", 0.01)


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


@pytest.fixture
def writer(tmp_path):
    writer = ControlWriter(tmp_path, MAIN, 1000.0)
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def dead_pid():
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid
