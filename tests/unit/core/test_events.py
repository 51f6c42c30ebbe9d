import math
import threading

import pytest

from picochat.core import redact as redaction
from picochat.core.events import EventWriter, iter_events
from picochat.core.jsonio import parse_json


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def emit(path, attempt=1, **fields):
    writer = EventWriter(path, attempt)
    writer.emit("step", "base", **fields)
    writer.close()


def test_the_number_goes_on_over_attempts(path):
    emit(path, 1, step=1)
    emit(path, 2, step=2)
    events = list(iter_events(path))
    assert [(e["seq"], e["attempt"], e["step"]) for e in events] == [(1, 1, 1), (2, 2, 2)]
    assert all(e["kind"] == "step" and e["stage"] == "base" and e["t"].endswith("Z") for e in events)


def test_a_torn_last_line_is_not_read_and_is_cut_before_the_next_append(path):
    emit(path, step=1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq": 2, "ki')
    assert len(list(iter_events(path))) == 1
    emit(path, step=2)
    assert path.read_bytes().startswith(whole)
    assert [e["seq"] for e in iter_events(path)] == [1, 2]


def test_a_file_that_is_one_torn_line_starts_anew(path):
    path.write_bytes(b'{"seq": 7')
    emit(path, step=1)
    assert [e["seq"] for e in iter_events(path)] == [1]


def test_numbers_that_are_not_finite_become_null_at_any_depth(path):
    emit(path, loss=math.nan, grad_norm=math.inf, nested={"a": [1.0, -math.inf]})
    event = next(iter_events(path))
    assert (event["loss"], event["grad_norm"], event["nested"]) == (None, None, {"a": [1.0, None]})


def test_every_line_is_on_disk_as_soon_as_it_is_emitted(path):
    writer = EventWriter(path)
    writer.emit("warning", "sft", text="x")
    assert parse_json(path.read_bytes(), "line")["text"] == "x"
    writer.close()


def test_a_lone_surrogate_does_not_lose_the_event(path):
    emit(path, text="a\udcffb")
    assert "a" in next(iter_events(path))["text"]


def test_secrets_are_masked(path, monkeypatch):
    monkeypatch.setattr(redaction, "_known", {"hunter2hunter2"})
    emit(path, text="pw hunter2hunter2", nested={"k": ["hf_" + "a" * 30]})
    assert b"hunter2" not in path.read_bytes()
    assert b"hf_aaa" not in path.read_bytes()


def test_an_unknown_kind_is_a_bug(path):
    writer = EventWriter(path)
    with pytest.raises(ValueError, match="unknown event kind 'stepp'"):
        writer.emit("stepp", "base")
    writer.close()
    assert path.read_bytes() == b""


def test_a_missing_file_has_no_events(path):
    assert list(iter_events(path)) == []


def test_threads_never_share_a_number(path):
    writer = EventWriter(path)

    def work():
        for _ in range(50):
            writer.emit("warning", "base", text="x" * 200)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert [e["seq"] for e in iter_events(path)] == list(range(1, 201))
