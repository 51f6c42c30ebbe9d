from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from picochat.core.event_tail import TAIL_BYTES, EventScan, read_last_event
from picochat.core.jsonio import canonical_json


def line(kind: str, attempt: int = 1, t: str = "t", **fields: Any) -> bytes:
    return canonical_json({"kind": kind, "attempt": attempt, "t": t, **fields}) + b"\n"


def test_the_last_event_is_found_behind_a_torn_line_and_lines_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_last_event(path) is None
    path.write_bytes(b"")
    assert read_last_event(path) is None
    path.write_bytes(line("step", step=1) + line("eval", step=2) + b'{"no": "event"}\nnothing\n[1]\n{"kind":"st')
    assert read_last_event(path) == {"kind": "eval", "attempt": 1, "t": "t", "step": 2}


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("step") * 20_000 + line("eval", step=9))
    taken = []
    monkeypatch.setattr("picochat.core.event_tail._last_of", lambda data, whole: taken.append(len(data)) or {"kind": 1})
    read_last_event(path)
    assert taken == [TAIL_BYTES] and path.stat().st_size > 10 * TAIL_BYTES


@pytest.mark.parametrize("length", [TAIL_BYTES - 60, TAIL_BYTES, 3 * TAIL_BYTES])
def test_a_last_event_longer_than_the_first_look_is_found(tmp_path: Path, length: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("step") * 3 + line("sample", text="x" * length))
    found = read_last_event(path)
    assert found is not None and found["kind"] == "sample"


def test_a_line_that_was_cut_at_its_start_is_no_event(tmp_path: Path) -> None:
    """Inside a long line stands the text of another event: only whole lines count."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("step") + line("sample", text='{"kind": "eval", "t": "now"}' + "x" * TAIL_BYTES)[:-1])
    found = read_last_event(path)
    assert found is not None and found["kind"] == "step"


def test_the_end_of_a_line_that_is_none_is_no_event_either(tmp_path: Path) -> None:
    """The first look begins exactly where an event seems to begin."""
    path, head = tmp_path / "events.jsonl", len(line("eval", text=""))
    path.write_bytes(line("step") + b"x" * 100 + line("eval", text="y" * (TAIL_BYTES - head)))
    found = read_last_event(path)
    assert found is not None and found["kind"] == "step"


def test_the_scan_finds_rare_events_once_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path, scan = tmp_path / "events.jsonl", EventScan(["eval", "stage_started"])
    assert scan.read(path) == ([], {})
    path.write_bytes(
        line("stage_started", t="a") + line("step", t="b") * 50 + line("eval", t="c", bpb=2.0) + line("st")
    )
    events, heard = scan.read(path)
    assert [event["kind"] for event in events] == ["stage_started", "eval"]
    assert heard == {1: "t"}
    with path.open("ab") as stream:
        stream.write(line("step", t="e") + line("eval", t="f")[:10])
    assert len(scan.read(path)[0]) == 2
    with path.open("ab") as stream:
        stream.write(line("eval", t="f")[10:] + line("stage_started", attempt=2, t="g"))
    events, heard = scan.read(path)
    assert [event["t"] for event in events] == ["a", "c", "f", "g"]
    assert heard == {1: "f", 2: "g"}
    assert EventScan(["eval", "stage_started"]).read(path) == (events, heard), "in one go or in pieces"


def test_each_attempt_was_last_heard_of_at_its_last_event_of_any_kind(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        line("stage_started", t="a") + line("step", t="b") + line("stage_started", 2, "c") + line("step", 2, "d")
    )
    assert EventScan(["stage_started"]).read(path)[1] == {1: "b", 2: "d"}


def test_a_mark_inside_a_text_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("warning", text='"kind":"eval"', inner={"kind": "eval"}) + b'"kind":"eval"\n')
    assert EventScan(["eval"]).read(path)[0] == []


def test_a_file_that_was_replaced_or_cut_is_read_from_its_start(tmp_path: Path) -> None:
    path, scan = tmp_path / "events.jsonl", EventScan(["eval"])
    path.write_bytes(line("eval", t="a") + line("eval", t="b"))
    scan.read(path)
    path.write_bytes(line("eval", t="c"))
    assert [event["t"] for event in scan.read(path)[0]] == ["c"]
    (tmp_path / "new").write_bytes(line("eval", t="d") * 3)
    os.replace(tmp_path / "new", path)
    assert len(scan.read(path)[0]) == 3
    path.unlink()
    assert scan.read(path) == ([], {})
