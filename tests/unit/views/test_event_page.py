"""Events by byte offset: the newest first, forwards as they come, backwards on request, and nothing in silence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from picochat.core.events import EventWriter
from picochat.core.jsonio import canonical_json
from picochat.views.files import event_page
from picochat.views.files.event_page import ANSWER_BYTES, EventFilter, EventPage, read_events

ALL = EventFilter()
TOKEN = "hf_" + "A1b2" * 8


def page(path: Path, asked: EventFilter = ALL, limit: int = 100, **where: int) -> EventPage:
    with path.open("rb", buffering=0) as stream:
        return read_events(stream, asked, limit, **where)


def seqs(found: EventPage) -> list[int]:
    return [row["seq"] for row in found.rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(EventWriter(tmp_path / "events.jsonl")) as events:
        for number in range(1, 51):
            kind = "failed" if number == 20 else "eval" if number % 10 == 0 else "step"
            events.emit(kind, "base" if number <= 30 else "sft", step=number, **({"rank": 1} if number == 7 else {}))
    return tmp_path / "events.jsonl"


def test_the_newest_come_first_and_a_reader_goes_back_to_the_first(path: Path):
    found = page(path, limit=20)
    assert seqs(found) == list(range(31, 51)) and found.whole
    earlier = page(path, limit=20, before=found.begin)
    assert seqs(earlier) == list(range(11, 31))
    first = page(path, limit=20, before=earlier.begin)
    assert seqs(first) == list(range(1, 11)) and first.begin == 0


def test_a_reader_goes_on_where_it_was(path: Path):
    found = page(path)
    assert page(path, offset=found.end).rows == []
    with path.open("ab") as stream:
        stream.write(canonical_json({"seq": 51, "kind": "step", "stage": "sft"}) + b"\n" + b'{"seq": 52, "ki')
    following = page(path, offset=found.end)
    assert seqs(following) == [51] and following.end < following.size
    limited = page(path, limit=3, offset=0)
    assert seqs(limited) == [1, 2, 3] and seqs(page(path, limit=2, offset=limited.end)) == [4, 5]


def test_filters_by_kind_stage_rank_and_text(path: Path):
    assert seqs(page(path, EventFilter(kind="failed"), 1, offset=0)) == [20]
    assert seqs(page(path, EventFilter(kind="eval", stage="sft"))) == [40, 50]
    assert seqs(page(path, EventFilter(rank=1))) == [7]
    assert seqs(page(path, EventFilter(text='"STEP":13'))) == [13]
    assert page(path, EventFilter(kind="eval", stage="dpo")).rows == []


def test_lines_that_are_no_events_are_rows_that_say_so(path: Path):
    with path.open("ab") as stream:
        stream.write(b'{"seq": 1, "seq": 2}\n[1]\n{"kind": 3}\nnot json\n\n')
    rows = page(path).rows[-4:]
    assert all(row["problem"] and row["kind"] is None for row in rows)
    assert "stands twice" in rows[0]["problem"] and "no event" in rows[1]["problem"]
    assert seqs(page(path, EventFilter(kind="eval")))[-1] == 50


def test_hostile_texts_are_plain_and_secrets_masked(path: Path):
    event = {"kind": "warning", "stage": "\u202ebase", "text": f"\x1b[31m {TOKEN}", "deep": {"key\x00": ["\x07"]}}
    with path.open("ab") as stream:
        stream.write(canonical_json(event) + b"\n")
    row = page(path, limit=1).rows[0]
    assert row["stage"] == r"\u202ebase" and row["fields"]["text"] == r"\x1b[31m [redacted]"
    assert row["fields"]["deep"] == {r"key\x00": [r"\x07"]}


def test_an_answer_stays_small_whatever_the_events_hold(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    line = canonical_json({"seq": 1, "kind": "sample", "stage": "base", "text": ["x" * 2000] * 30}) + b"\n"
    path.write_bytes(line * 40)
    for where in ({}, {"offset": 0}):
        found = page(path, limit=1000, **where)
        assert 1 <= len(found.rows) < 40 and len(canonical_json(found.rows)) <= ANSWER_BYTES + len(line)
    rows, at = 0, 0
    while (found := page(path, limit=1000, offset=at)).rows:
        rows, at = rows + len(found.rows), found.end
    assert rows == 40


def test_a_line_longer_than_a_window_is_told_of(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind":"step","seq":1}\n' + b"x" * 300_000 + b'\n{"kind":"step","seq":2}\n')
    rows = page(path, offset=0).rows
    assert [row["seq"] for row in rows] == [1, None, 2] and "longer" in rows[1]["problem"]


def test_a_filter_that_matches_nothing_stops_and_says_how_far(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_page, "LOOKED_AT_BYTES", 100_000)
    with path.open("ab") as stream:
        for number in range(51, 9000):
            stream.write(canonical_json({"seq": number, "kind": "step", "stage": "sft"}) + b"\n")
    found: Any = page(path, EventFilter(kind="failed"))
    assert found.rows == [] and not found.whole and found.begin > 0
    while not found.rows:
        found = page(path, EventFilter(kind="failed"), before=found.begin)
    assert seqs(found) == [20]


def test_a_search_forwards_stops_too_and_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_page, "LOOKED_AT_BYTES", 1000)
    with path.open("ab") as stream:
        for number in range(51, 9000):
            stream.write(canonical_json({"seq": number, "kind": "step", "stage": "sft"}) + b"\n")
        stream.write(canonical_json({"seq": 9000, "kind": "failed", "stage": "sft"}) + b"\n")
    found = page(path, EventFilter(kind="failed", stage="sft"), offset=0)
    assert found.rows == [] and not found.whole and 0 < found.end < found.size
    while not found.rows:
        found = page(path, EventFilter(kind="failed", stage="sft"), offset=found.end)
    assert seqs(found) == [9000]
