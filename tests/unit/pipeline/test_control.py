"""What is asked of a run by control.json, and when it was heard."""

import os
import platform

import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.fs import write_json
from picochat.core.jsonio import read_json
from picochat.pipeline.control import ask_run, read_asked
from picochat.views.runs.run_state import process_start


@pytest.fixture
def store(tmp_path) -> RunStore:
    """A run that this process works on."""
    here = {"host": platform.node(), "pid": os.getpid(), "process_started": process_start(os.getpid())}
    write_json(tmp_path / layout.STATUS, {"state": "running", **here})
    return RunStore(tmp_path)


def test_a_request_waits_until_the_run_has_read_it(store: RunStore):
    asked = ask_run(store, "stop")
    assert read_json(store.path(layout.CONTROL)) == {"request": "stop", "at": asked.at}
    assert read_asked(store, []) == asked and asked.acknowledged_at is None
    earlier = {"t": "2020-01-01T00:00:00.000Z", "request": "stop"}
    other = {"t": "2999-01-01T00:00:00.000Z", "request": "stop_now"}
    assert read_asked(store, [earlier, other]) == asked, "neither an older one nor another one was heard"
    heard = {"t": "2999-01-01T00:00:00.000Z", "request": "stop"}
    assert read_asked(store, [earlier, heard, other]) == asked._replace(acknowledged_at=heard["t"])


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_a_run_that_nobody_works_on_cannot_be_asked(store: RunStore, state: str):
    write_json(store.path(layout.STATUS), {"state": state})
    with pytest.raises(PicochatError) as caught:
        ask_run(store, "stop")
    assert caught.value.code == "run.not_running" and not store.has(layout.CONTROL)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"request": "dance", "at": "t"}', '{"request": "stop", "at": 3}'])
def test_a_file_that_asks_for_nothing_known_is_no_request(store: RunStore, text: str):
    store.path(layout.CONTROL).write_text(text)
    assert read_asked(store, []) is None
