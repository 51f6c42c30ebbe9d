"""The dataset stage over an empty run."""

import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import EventWriter
from picochat.core.fs import write_json
from picochat.data import pieces
from picochat.stages import contract
from picochat.stages.contract import StageContext


@pytest.fixture
def ctx(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    write_json(root / layout.RUN, {})
    events = EventWriter(root / layout.EVENTS)
    yield StageContext(RunStore(root), events, seed=1)
    events.close()


@pytest.fixture
def small_pieces(monkeypatch):
    """So small that a little text has many of them, and so cheap that two processes share them."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", 2000)
    monkeypatch.setattr(contract, "BYTES_A_PROCESS", 1)
