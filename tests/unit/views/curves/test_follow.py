from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import Story, resumed, straight

from picochat.views.curves.follow import EventFollower
from picochat.views.curves.stage import MOST_ATTEMPTS

WHOLE = resumed().text().encode()


def columns_of(follower: EventFollower) -> dict[str, list[float]]:
    stage = follower.stages["base"]
    names = ("step", "t", "attempt", "loss", "tokens", "rss_bytes")
    found = {name: stage.steps[name].tolist() for name in names}
    return found | {"evals": stage.evals["bpb"].tolist(), "marks": [tuple(map(str, mark)) for mark in stage.marks]}


def test_a_whole_file_is_read_into_columns(tmp_path: Path) -> None:
    follower = EventFollower(resumed().write(tmp_path)).read()
    stage = follower.stages["base"]
    assert (follower.state, follower.unreadable, len(stage.steps), len(stage.evals)) == ("ok", 0, 350, 7)
    assert stage.steps["step"][149] == 150 and stage.steps["step"][150] == 101
    assert [attempt.number for attempt in stage.attempts] == [1, 2]
    assert stage.attempts[1].resumed is not None and stage.attempts[1].resumed["step"] == 100
    assert not stage.steps.has("peak_memory_bytes"), "a column of nulls takes no memory"
    assert np.isnan(stage.steps["peak_memory_bytes"]).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=6), st.sampled_from([4096, 1 << 22]))
def test_reading_in_pieces_is_reading_the_whole(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "events.jsonl"
    path.write_bytes(WHOLE)
    expected = columns_of(EventFollower(path).read())
    path.write_bytes(b"")
    growing = EventFollower(path, chunk_bytes=chunk)
    done = 0
    for cut in [*sorted(cuts), len(WHOLE)]:
        with path.open("ab") as stream:
            stream.write(WHOLE[done:cut])
        done = max(done, cut)
        growing.read()
    assert columns_of(growing) == expected
    assert growing.offset == len(WHOLE)


def test_later_reads_take_only_new_bytes_and_leave_a_torn_line(tmp_path: Path) -> None:
    path = straight(20).write(tmp_path)
    follower = EventFollower(path).read()
    size, line = path.stat().st_size, straight(21).text().splitlines()[-1]
    with path.open("a") as stream:
        stream.write(line[:40])
    follower.read()
    assert (follower.offset, len(follower.stages["base"].steps), follower.unreadable) == (size, 20, 0)
    with path.open("a") as stream:
        stream.write(line[40:] + "\n")
    assert len(follower.read().stages["base"].steps) == 21


def test_a_file_that_is_another_one_starts_again(tmp_path: Path) -> None:
    path = straight(30).write(tmp_path)
    follower = EventFollower(path).read()
    path.write_text(straight(5).text())
    assert len(follower.read().stages["base"].steps) == 5, "cut"
    longer = Story()
    for step in range(1, 41):
        longer.step(step, step, loss=1.5)
    path.write_text(longer.text())
    found = follower.read().stages["base"]
    assert len(found.steps) == 40 and set(found.steps["loss"].tolist()) == {1.5}, "written again, and longer"
    other = tmp_path / "other"
    other.write_text(straight(60).text())
    os.replace(other, path)
    assert len(follower.read().stages["base"].steps) == 60, "replaced"
    path.unlink()
    assert (follower.read().state, follower.stages) == ("missing", {})


@pytest.mark.parametrize("make", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_a_state(tmp_path: Path, make: str) -> None:
    real, path = straight(3).write(tmp_path), tmp_path / "there"
    {"link": lambda: path.symlink_to(real), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[make]()
    follower = EventFollower(path).read()
    assert follower.state == "unreadable" and follower.why and not follower.stages


GARBAGE = [
    b"not json",
    b"[1,2]",
    b"17",
    b'{"kind":"step"}',
    b'{"kind":1,"stage":"base"}',
    b"\xff\xfe\x00",
    b'{"a":' * 5000,
    b'{"n":' + b"9" * 5000 + b"}",
]


def test_lines_that_are_no_events_are_counted_and_pass_by(tmp_path: Path) -> None:
    good = straight(10).text().encode().splitlines()
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([*good[:4], *GARBAGE, b"", *good[4:]]) + b"\n")
    follower = EventFollower(path).read()
    assert follower.unreadable == len(GARBAGE)
    assert follower.first_unreadable == sum(len(line) + 1 for line in good[:4])
    assert len(follower.stages["base"].steps) == 10


def test_hostile_values_are_no_numbers(tmp_path: Path) -> None:
    losses = [{"loss": value} for value in ("3", True, [1], 10**400)]
    odd = [*losses, {"t": "now"}, {"t": 5}, {"step": "x"}, {"step": None}]
    event = {"kind": "step", "stage": "base", "attempt": 1, "t": "2026-11-30T00:00:00Z"}
    lines = [json.dumps(event | {"step": 100 + number} | more) for number, more in enumerate(odd)]
    lines.append('{"kind":"step","stage":"base","step":200,"loss":NaN,"t":"2026-11-30T00:00:00Z","attempt":-7}')
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines) + "\n")
    stage = EventFollower(path).read().stages["base"]
    assert len(stage.steps) == 7, "two have no step"
    assert np.isnan(stage.steps["loss"]).all()
    assert np.isnan(stage.steps["t"]).sum() == 2


def test_an_overlong_line_is_counted_once_and_passed_over(tmp_path: Path) -> None:
    path = straight(5).write(tmp_path)
    with path.open("a") as stream:
        stream.write("x" * 20_000 + "\n" + straight(6).text().splitlines()[-1] + "\n")
    follower = EventFollower(path, chunk_bytes=4096).read()
    assert (follower.unreadable, len(follower.stages["base"].steps)) == (1, 6)
    assert follower.read().offset == path.stat().st_size


def test_points_that_stand_back_within_an_attempt_are_counted(tmp_path: Path) -> None:
    story = straight(10)
    story.step(4, 2.0)
    story.step(10, 2.0)
    stage = EventFollower(story.write(tmp_path)).read().stages["base"]
    assert (len(stage.steps), stage.out_of_order) == (10, 2)


def test_more_attempts_and_stages_than_are_told_apart_do_no_harm(tmp_path: Path) -> None:
    story = Story()
    for number in range(1, MOST_ATTEMPTS + 50):
        story.step(number, number, number)
        story.events[-1]["stage"] = "base"
    lines = story.text() + "".join(json.dumps(story.events[0] | {"stage": f"stage {n}"}) + "\n" for n in range(40))
    path = tmp_path / "events.jsonl"
    path.write_text(lines)
    follower = EventFollower(path).read()
    assert len(follower.stages["base"].attempts) == MOST_ATTEMPTS
    assert len(follower.stages["base"].steps) == MOST_ATTEMPTS
    assert len(follower.stages) == 16


def test_beyond_its_bound_a_stage_forgets_its_oldest_points(tmp_path: Path) -> None:
    follower = EventFollower(straight(500).write(tmp_path), most_points=100, chunk_bytes=20_000).read()
    steps = follower.stages["base"].steps
    assert 100 <= len(steps) <= 125 + 60 and steps["step"][-1] == 500
    assert steps.forgotten == 500 - len(steps)
