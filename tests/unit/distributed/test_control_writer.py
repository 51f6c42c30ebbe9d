"""What rank 0 says in ddp_control.json: turns, beats, and the end of a failure."""

import errno
import math
import os
import platform
import threading
import time
from pathlib import Path

import pytest
from tests.support.control_room import MAIN, VERSION, WORKER, await_beat, read

from picochat.artifacts import layout
from picochat.core import fs
from picochat.core.errors import PicochatError, refuse
from picochat.core.redact import MASK
from picochat.distributed import control
from picochat.distributed.config import DistributedConfig
from picochat.distributed.control import ControlReader, ControlWriter, process_place

# --- what is said


def test_the_values_of_the_turns_reach_the_reader(room, writer):
    values = [None, 0, True, -1.5, "Größe \u2028 \n", [], [1, [2, {"a": None}]], {"digest": "ab", "warning": None}]
    for value in values:
        writer.finish(value)
    room.rank_0 = lambda passed_s: writer.begin("next")
    assert [room.reader.wait(turn, "x") for turn in range(1, len(values) + 1)] == values


def test_a_value_is_returned_as_the_others_read_it(room, writer):
    values = [(1, (2, "x")), {"rows": ({"a": (None,)},)}, {7: ("seven",)}, "\udc80 is half a pair"]
    said = [writer.finish(value) for value in values]
    assert said[:3] == [[1, [2, "x"]], {"rows": [{"a": [None]}]}, {"7": ["seven"]}] and said[3] == values[3]
    room.rank_0 = lambda passed_s: writer.begin("next")
    assert [room.reader.wait(turn, "x") for turn in range(1, len(values) + 1)] == said


def test_a_value_cannot_be_changed_after_it_was_said(tmp_path, writer):
    value = {"rows": [1]}
    writer.finish(value)
    value["rows"].append(object())
    writer.begin("next")
    assert read(tmp_path)["turns"] == {"1": {"rows": [1]}}


@pytest.mark.parametrize(
    "value", [object(), {"a": {1, 2}}, b"bytes", Path("x")], ids=["object", "set", "bytes", "path"]
)
def test_a_value_that_is_no_json_spoils_nothing_but_its_own_turn(tmp_path, room, value):
    writer = ControlWriter(tmp_path, MAIN, 0.002)
    before = read(tmp_path)
    with pytest.raises(TypeError):
        writer.finish(value)
    assert (read(tmp_path)["turn"], read(tmp_path)["turns"]) == (before["turn"], before["turns"]) == (0, {})
    await_beat(tmp_path, read(tmp_path)["beat"] + 5)
    writer.begin("next")
    assert writer.finish(5) == 5
    room.rank_0 = lambda passed_s: writer.begin("after")
    assert room.reader.wait(1, "x") == 5
    writer.close()


@pytest.mark.parametrize("value", [math.nan, {"a": [-math.inf]}], ids=["nan", "inf"])
def test_a_number_that_strict_json_cannot_hold_is_refused_before_it_is_written(tmp_path, writer, value):
    with pytest.raises(ValueError):
        writer.finish(value)
    writer.begin("next")
    assert (read(tmp_path)["turn"], read(tmp_path)["turns"]) == (0, {})


KEY = "sk-" + "a" * 24
NAME = "runs/task-with-a-rather-long-name-indeed"


def test_values_arrive_whole_and_what_is_read_by_people_is_masked(tmp_path, room, writer):
    value = {"run": NAME, NAME: [NAME], "like a key": KEY, KEY: 1}
    assert writer.finish(value) == value
    writer.begin(f"copying {NAME} with {KEY}")
    room.rank_0 = lambda passed_s: writer.advance() or writer.begin(f"copying {NAME} with {KEY}")
    assert room.reader.wait(1, "x") == value
    assert read(tmp_path)["doing"] == f"copying {NAME} with {MASK}"
    writer.fail(ValueError(f"{NAME} and {KEY}"))
    assert room.refused(2).detail == f"rank 0: ValueError: {NAME} and {MASK}"
    assert read(tmp_path)["turns"] == {"1": value}, "an error leaves the values alone"


def test_the_reader_returns_only_after_its_own_turn_is_done(room, writer):
    said = []

    def work(passed_s: float) -> None:
        writer.begin("first" if not said else "second")
        writer.advance()
        if passed_s >= 3 * (len(said) + 1) and len(said) < 2:
            said.append(passed_s)
            writer.finish(f"value {len(said)}")

    room.rank_0 = work
    assert room.reader.wait(1, "first") == "value 1" and said == [room.passed_s]
    assert room.reader.wait(2, "second") == "value 2" and said[1:] == [room.passed_s]
    assert said[0] >= 3 and said[1] >= 6


def test_the_file_says_who_does_what_in_which_state(tmp_path, writer):
    first = read(tmp_path)
    assert first["schema"] == {"name": "ddp_control", "version": VERSION}
    assert (first["launch"], first["attempt"], first["log"]) == (MAIN.id, MAIN.attempt, "logs/rank0.log")
    assert (first["host"], first["place"], first["pid"]) == (platform.node(), process_place(), os.getpid())
    assert (first["state"], first["doing"], first["turn"], first["error"]) == ("preparing", "starting", 0, None)
    writer.begin("tokenizer")
    begun = read(tmp_path)
    writer.finish(5)
    done = read(tmp_path)
    assert (begun["state"], begun["doing"], begun["turn"], begun["turns"]) == ("preparing", "tokenizer", 0, {})
    assert (done["state"], done["doing"], done["turn"], done["turns"]) == ("ready", "tokenizer", 1, {"1": 5})
    assert first["beat"] < begun["beat"] < done["beat"] and first["progress"] == begun["progress"] < done["progress"]


def test_progress_is_counted_at_once_and_written_with_the_next_beat(tmp_path, writer):
    before = read(tmp_path)["progress"]
    for _ in range(5):
        writer.advance()
    writer.begin("x")
    assert read(tmp_path)["progress"] == before + 5


def test_no_temporary_file_is_left_and_none_is_ever_read_half(tmp_path):
    writer = ControlWriter(tmp_path, MAIN, 0.001)
    for turn in range(1, 41):
        writer.finish("x" * 5_000)
        assert read(tmp_path)["turn"] == turn
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [layout.DDP_CONTROL]


def test_a_sweep_during_the_beats_neither_takes_a_file_away_nor_leaves_one(tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(control.LOGGER, "warning", lambda *words: warnings.append(words))
    dead = tmp_path / f"{fs.TMP_PREFIX}of-a-dead-writer"
    dead.write_text("x")
    writer = ControlWriter(tmp_path, MAIN, 0.0005)
    swept, end = [], time.monotonic() + 0.2
    while time.monotonic() < end:
        swept += fs.sweep_temporaries(tmp_path)
    writer.finish("done")
    writer.close()
    assert (swept, warnings) == ([dead], []) and read(tmp_path)["beat"] > 3
    assert [path.name for path in tmp_path.iterdir()] == [layout.DDP_CONTROL]


def test_a_sweep_in_the_middle_of_a_write_does_not_make_it_fail(tmp_path, writer, monkeypatch):
    replace, swept = os.replace, []

    def swept_before(source: Path, target: Path) -> None:
        swept.append(fs.sweep_temporaries(tmp_path))
        replace(source, target)

    monkeypatch.setattr(fs.os, "replace", swept_before)
    writer.begin("x")
    assert writer.finish(5) == 5
    assert len(swept) >= 2 and not any(swept) and read(tmp_path)["turns"] == {"1": 5}


def test_a_write_that_fails_leaves_no_file_beside_the_old_one(tmp_path, writer, monkeypatch):
    before, beside = read(tmp_path), []

    def full(source: Path, target: Path) -> None:
        beside.append(Path(source).name)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(fs.os, "replace", full)
    with pytest.raises(PicochatError, match="no space left"):
        writer.begin("x")
    assert beside and all(name.startswith(fs.LIVE_PREFIX) and layout.is_live(name) for name in beside)
    assert [path.name for path in tmp_path.iterdir()] == [layout.DDP_CONTROL] and read(tmp_path) == before


# --- beats


def test_beats_grow_by_themselves_until_the_writer_is_closed(tmp_path):
    writer = ControlWriter(tmp_path, MAIN, 0.005)
    await_beat(tmp_path, read(tmp_path)["beat"] + 5)
    writer.close()
    last = read(tmp_path)
    assert (last["progress"], last["turn"]) == (0, 0), "a beat alone is no progress"
    assert "ddp-control" not in {thread.name for thread in threading.enumerate()}
    time.sleep(0.02)
    assert read(tmp_path) == last


def test_the_first_beats_come_fast_however_rare_the_later_ones_are(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "EARLY_BEATS", 3)
    monkeypatch.setattr(control, "EARLY_BEAT_S", 0.005)
    writer = ControlWriter(tmp_path, MAIN, 1000.0)
    await_beat(tmp_path, 4)
    time.sleep(0.03)
    assert read(tmp_path)["beat"] == 4
    writer.close()


def test_a_beat_that_finds_a_full_disk_does_not_end_the_beats(tmp_path, monkeypatch):
    writer, write, failures = ControlWriter(tmp_path, MAIN, 0.005), fs.write_volatile, []

    def full_for_a_while(path: Path, data: bytes) -> None:
        if len(failures) < 3:
            failures.append(path)
            refuse("disk.full", "no space left")
        write(path, data)

    monkeypatch.setattr(control.fs, "write_volatile", full_for_a_while)
    await_beat(tmp_path, read(tmp_path)["beat"] + 5)
    writer.close()
    assert failures == [tmp_path / layout.DDP_CONTROL] * 3


# --- the end of a failure


@pytest.fixture
def rare(monkeypatch):
    """Beats that come fast only after a failure."""
    monkeypatch.setattr(control, "EARLY_BEATS", 0)
    monkeypatch.setattr(control, "EARLY_BEAT_S", 0.005)


def test_after_a_failure_the_beats_come_fast_for_as_long_as_it_lingers(tmp_path, rare, monkeypatch):
    monkeypatch.setattr(control, "LINGER_S", 0.1)
    writer = ControlWriter(tmp_path, MAIN, 1000.0)
    time.sleep(0.03)
    assert read(tmp_path)["beat"] == 1
    writer.fail(ValueError("x"))
    begun, failed_at = time.monotonic(), read(tmp_path)["beat"]
    writer.close()
    assert time.monotonic() - begun >= 0.1
    last = read(tmp_path)
    assert last["beat"] >= failed_at + 2 and last["error"]["detail"] == "ValueError: x"
    monkeypatch.setattr(control, "LINGER_S", 30.0)
    begun = time.monotonic()
    writer.close()
    assert time.monotonic() - begun < 5, "it lingers once"
    assert read(tmp_path) == last and [path.name for path in tmp_path.iterdir()] == [layout.DDP_CONTROL]


def test_a_worker_whose_first_look_comes_after_the_failure_still_hears_it(tmp_path, rare, monkeypatch):
    monkeypatch.setattr(control, "LINGER_S", 0.2)
    writer = ControlWriter(tmp_path, MAIN, 1000.0)
    writer.fail(PicochatError("disk.full", "no space left"))
    closing = threading.Thread(target=writer.close)
    closing.start()
    reader = ControlReader(tmp_path, WORKER, DistributedConfig(beat_s=1.0, beat_limit_s=2.0))
    with pytest.raises(PicochatError) as caught:
        reader.wait(1, "x")
    closing.join()
    assert (caught.value.code, caught.value.detail) == ("disk.full", "rank 0: no space left")


def test_a_peaceful_end_does_not_linger(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "LINGER_S", 30.0)
    writer, begun = ControlWriter(tmp_path, MAIN, 1000.0), time.monotonic()
    writer.finish(1)
    writer.close()
    assert time.monotonic() - begun < 5
