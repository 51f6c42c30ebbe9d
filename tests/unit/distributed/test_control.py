"""What rank 0 says in ddp_control.json, and what a worker believes of it: on a clock that a fake sleep moves."""

import errno
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from picochat.artifacts import layout
from picochat.core import fs
from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError, refuse
from picochat.core.reasons import REASONS, Reason
from picochat.core.redact import MASK
from picochat.distributed import control
from picochat.distributed.config import DistributedConfig
from picochat.distributed.control import KEPT_TURNS, ControlReader, ControlWriter, describe_error, process_place
from picochat.distributed.env import Launch

MAIN = Launch(0, 0, 4, 4, "job@host:29500", 1, "host", 29500)
WORKER = Launch(3, 3, 4, 4, "job@host:29500", 1, "host", 29500)
VERSION = 1


def document(**changes: Any) -> dict[str, Any]:
    """A whole control file as rank 0 writes it on another host."""
    return {
        "schema": {"name": "ddp_control", "version": VERSION},
        "launch": MAIN.id,
        "attempt": MAIN.attempt,
        "host": platform.node(),
        "place": "another host",
        "pid": 1,
        "log": "logs/rank0.log",
        "state": "preparing",
        "doing": "tokenizer",
        "beat": 41,
        "progress": 7,
        "turn": 0,
        "turns": {},
        "error": None,
    } | changes


class Room:
    """A run folder with a reader; its sleep moves the clock, and then rank 0 has its say."""

    stopped_at_s = math.inf

    def __init__(self, root: Path, stride_s: float = 0.0, **limits: float) -> None:
        self.root = root
        self.path = root / layout.DDP_CONTROL
        self.clock = ManualClock(1000.0)
        self.sleeps: list[float] = []
        self.rank_0: Callable[[float], None] = lambda passed_s: None
        self._stride_s = stride_s
        config = DistributedConfig(**({"beat_s": 1.0, "beat_limit_s": 5.0, "progress_limit_s": 20.0} | limits))
        self.reader = ControlReader(root, WORKER, config, self.clock, self._sleep, self._stopped)

    @property
    def passed_s(self) -> float:
        return self.clock.now - 1000.0

    def put(self, what: dict[str, Any] | bytes | None) -> None:
        if what is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())

    def beating(self, **changes: Any) -> None:
        """From now on the file is whole, with a new beat at every look."""
        beats = itertools.count(1)
        self.rank_0 = lambda passed_s: self.put(document(beat=next(beats), **changes))

    def lost(self, turn: int = 1, what: str = "waiting") -> PicochatError:
        with pytest.raises(PicochatError) as caught:
            self.reader.wait(turn, what)
        assert (caught.value.code, caught.value.exit_code) == ("launch.main_lost", 5)
        return caught.value

    def refused(self, turn: int = 1) -> PicochatError:
        """What ended rank 0."""
        with pytest.raises(PicochatError) as caught:
            self.reader.wait(turn, "waiting")
        return caught.value

    def _stopped(self) -> bool:
        return self.passed_s >= self.stopped_at_s

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.now += max(seconds, self._stride_s)
        assert len(self.sleeps) < 20_000, "the reader never comes to an end"
        self.rank_0(self.passed_s)


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


def read(root: Path) -> dict[str, Any]:
    return json.loads((root / layout.DDP_CONTROL).read_bytes())


def await_beat(root: Path, beat: int) -> None:
    begun = time.monotonic()
    while read(root)["beat"] < beat:
        assert time.monotonic() - begun < 10, "no beat came"
        time.sleep(0.002)


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


# --- errors


def test_every_reason_is_raised_again_with_its_code_and_exit_code(tmp_path):
    for code in sorted(REASONS):
        said, room = PicochatError(code, "12 bytes are free", why="because", fix="do this"), Room(tmp_path)
        room.beating(error=describe_error(said))
        heard = room.refused()
        assert (heard.code, heard.exit_code) == (code, said.exit_code)
        assert (heard.detail, heard.why, heard.fix) == ("rank 0: 12 bytes are free", "because", "do this")


@pytest.mark.parametrize("code", ["disk.full", "usage.path", "training.loss_guard"])
def test_a_reason_that_rank_0_wrote_is_heard(tmp_path, room, writer, code):
    room.rank_0 = lambda passed_s: writer.fail(PicochatError(code, "12 bytes are free", why="because", fix="do this"))
    heard = room.refused()
    assert (heard.code, heard.exit_code) == (code, REASONS[code].exit_code)
    assert (heard.detail, heard.why, heard.fix) == ("rank 0: 12 bytes are free", "because", "do this")
    assert read(tmp_path)["state"] == "failed"


def test_what_is_blocked_has_a_state_of_its_own(tmp_path, room, writer, monkeypatch):
    monkeypatch.setitem(REASONS, "test.blocked", Reason(3, "why", "fix"))
    room.rank_0 = lambda passed_s: writer.fail(PicochatError("test.blocked", "three checks failed"))
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(1, "x")
    assert (caught.value.code, caught.value.exit_code) == ("test.blocked", 3)
    assert read(tmp_path)["state"] == "blocked"


def test_a_refusal_without_words_of_its_own_keeps_those_of_the_registry(room, writer):
    try:
        refuse("disk.full", "no space left")
    except PicochatError as err:
        said = err
    room.rank_0 = lambda passed_s: writer.fail(said)
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(1, "x")
    assert (caught.value.why, caught.value.fix) == (REASONS["disk.full"].why, REASONS["disk.full"].fix)


@pytest.mark.parametrize("err", [ZeroDivisionError("by 0"), KeyError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_of_no_reason_is_heard_as_a_failure_of_rank_0(tmp_path, room, writer, err):
    room.rank_0 = lambda passed_s: writer.fail(err)
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(1, "x")
    assert (caught.value.code, caught.value.exit_code) == ("launch.main_failed", 5)
    assert caught.value.detail == f"rank 0: {type(err).__name__}: {err}"
    assert caught.value.fix == REASONS["launch.main_failed"].fix and read(tmp_path)["state"] == "failed"


@pytest.mark.parametrize("code", ["no.such.reason", None, 7, ["disk.full"]])
def test_a_code_that_this_rank_does_not_know_is_a_failure_of_rank_0(room, code):
    room.beating(error={"code": code, "detail": "new here", "why": None, "fix": None})
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(1, "x")
    assert (caught.value.code, caught.value.detail) == ("launch.main_failed", "rank 0: new here")


def test_an_error_ends_a_worker_even_when_its_turn_is_done(room, writer):
    writer.finish("value")
    room.rank_0 = lambda passed_s: writer.fail(ValueError("later"))
    with pytest.raises(PicochatError, match="ValueError: later"):
        room.reader.wait(1, "x")


# --- patience


def test_a_beat_that_stays_is_given_up_with_rank_stage_number_limit_and_log(tmp_path):
    room = Room(tmp_path, beat_s=30.0, beat_limit_s=120.0, progress_limit_s=1800.0)
    room.put(document(beat=40))
    room.rank_0 = lambda passed_s: room.put(document(beat=41))
    err = room.lost()
    assert err.detail == (
        'rank 3 gave up on rank 0 in "tokenizer": beat 41 has not changed for 120 s (limit 120 s)'
    )  # fmt: skip
    assert str(tmp_path / "logs/rank0.log") in err.fix and "--resume" in err.fix
    assert "120 s in all" in err.why
    assert 120 <= room.passed_s < 120.5


def test_progress_that_stays_is_given_up_though_beats_go_on(room):
    room.beating(progress=7)
    err = room.lost()
    assert err.detail == (
        'rank 3 gave up on rank 0 in "tokenizer": progress 7 has not changed for 20 s (limit 20 s)'
    )  # fmt: skip
    assert str(room.root / "logs/rank0.log") in err.fix and 20 <= room.passed_s < 20.5


def test_a_wait_of_days_goes_on_while_beat_and_progress_change_within_their_limits(tmp_path):
    room = Room(tmp_path, stride_s=60.0, beat_s=30.0, beat_limit_s=121.0, progress_limit_s=601.0)
    days = 2 * 24 * 3600

    def work(passed_s: float) -> None:
        done = {"turn": 1, "turns": {"1": "done"}} if passed_s >= days else {}
        room.put(document(beat=int(passed_s // 120), progress=int(passed_s // 600), **done))

    room.rank_0 = work
    assert room.reader.wait(1, "x") == "done"
    assert days <= room.passed_s < days + 121


def test_a_finished_turn_is_progress(room):
    numbers = itertools.count(1)

    def work(passed_s: float) -> None:
        turn = int(passed_s // 15)
        room.put(document(beat=next(numbers), progress=7, turn=turn, turns={str(turn): turn}))

    room.rank_0 = work
    assert room.reader.wait(6, "x") == 6
    assert room.passed_s >= 90


def test_limits_count_from_the_last_change_and_anew_in_each_wait(tmp_path):
    room = Room(tmp_path)
    changes = [0.1, 4.5, 9.0, 13.5]
    room.rank_0 = lambda passed_s: room.put(document(beat=sum(passed_s >= at for at in changes)))
    room.lost()
    assert 18.5 <= room.passed_s < 19
    room.lost()
    assert 23.5 <= room.passed_s < 24.5


def test_a_file_that_vanishes_for_a_moment_is_only_silence(room):
    def work(passed_s: float) -> None:
        done = {"turn": 1, "turns": {"1": 5}} if passed_s >= 12 else {}
        room.put(None if 1 <= passed_s % 4 <= 3.5 else document(beat=int(passed_s * 100), progress=passed_s, **done))

    room.rank_0 = work
    assert room.reader.wait(1, "x") == 5


def test_the_reader_looks_often_at_first_and_a_few_times_a_second_later(room):
    room.lost()
    assert room.sleeps == sorted(room.sleeps)
    assert room.sleeps[0] <= 0.01 and sum(room.sleeps[:5]) < 0.1 and room.sleeps[-1] == 0.25


# --- what is not believed

DONE = {"turn": 1, "turns": {"1": "wrong"}}
FAILED = {"state": "failed", "error": {"code": "disk.full", "detail": "wrong", "why": None, "fix": None}}
UNREADABLE = {
    "empty": (b"", "json.invalid"),
    "garbage": (b"\x00\xff\xfe{", "json.invalid"),
    "half": (json.dumps(document()).encode()[:-20], "json.invalid"),
    "not finite": (b'{"beat": NaN}', "json.invalid"),
    "a list": (b"[]", "TypeError"),
    "a number": (b"12", "TypeError"),
    "null": (b"null", "TypeError"),
    "no keys": (b"{}", "KeyError 'schema'"),
    "a schema that is text": (document(schema="ddp_control", **DONE), "TypeError"),
    "a beat that is text": (document(beat="many", **DONE), "ValueError"),
    "a beat that is null": (document(beat=None, **DONE), "TypeError"),
    "a beat beyond all numbers": (json.dumps(document(**DONE)).replace("41", "1e999").encode(), "OverflowError"),
    "without attempt": ({k: v for k, v in document(**DONE).items() if k != "attempt"}, "KeyError 'attempt'"),
}
READ_KEYS = sorted(document().keys() - {"host", "log", "state"})
ANOTHER_SHAPE: dict[str, dict[str, Any]] = {
    "an error that is text": {"error": "disk.full"},
    "an error that is a list": {"error": ["disk.full"]},
    "an error that is false": {"error": False},
    "turns that are a list": {"turn": 1, "turns": ["wrong", "wrong"]},
    "turns that are text": {"turn": 1, "turns": "1"},
    "turns that are null": {"turn": 1, "turns": None},
}
FUTURE = {"schema": {"name": "ddp_control", "version": VERSION + 1}}
FOREIGN = {
    "a future version": (FUTURE, f"a control file of ddp_control version {VERSION + 1}, this is ddp_control {VERSION}"),
    "another document": (
        {"schema": {"name": "checkpoint", "version": VERSION}},
        f"a control file of checkpoint version {VERSION}, this is ddp_control {VERSION}",
    ),
    "another launch": ({"launch": "other@host:29501"}, "a control file of another launch (other@host:29501)"),
    "the next attempt": ({"attempt": 2}, "a control file of attempt 2, this is 1"),
    "the attempt before": ({"attempt": 0}, "a control file of attempt 0, this is 1"),
}


def require_not_believed(room: Room, words: str) -> None:
    err = room.lost(what="taking the lock")
    begun = 'rank 3 gave up on rank 0 in "taking the lock": its beat has not changed for 5 s (limit 5 s); it saw '
    assert err.detail.startswith(begun + words), err.detail
    assert str(room.root / "logs/rank0.log") in err.fix and 5 <= room.passed_s < 5.5


def test_a_missing_file_is_named(room):
    require_not_believed(room, "no control file")


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_an_unreadable_file_is_not_believed_and_named(room, name):
    what, words = UNREADABLE[name]
    room.put(what)
    require_not_believed(room, f"an unreadable control file ({words}")


@pytest.mark.parametrize("key", READ_KEYS)
def test_a_file_without_a_key_that_is_read_is_unreadable(room, key):
    room.put({k: v for k, v in document(**DONE).items() if k != key})
    require_not_believed(room, f"an unreadable control file (KeyError '{key}')")


@pytest.mark.parametrize("name", sorted(ANOTHER_SHAPE))
def test_a_lively_file_of_another_shape_is_not_believed_and_named(room, name):
    room.beating(**ANOTHER_SHAPE[name])
    require_not_believed(room, "a control file of another shape")


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_foreign_file_is_not_believed_and_named_however_lively_it_is(room, name):
    changes, words = FOREIGN[name]
    room.beating(**(changes | DONE | FAILED))
    require_not_believed(room, words)


@pytest.mark.parametrize(
    "rest", [{}, {"news": [1, 2]}, document() | {"turns": [], "beat": "many"}], ids=["alone", "new keys", "new shapes"]
)
def test_a_future_file_is_called_by_its_version_whatever_else_it_holds(room, rest):
    room.put(rest | FUTURE)
    require_not_believed(room, FOREIGN["a future version"][1])


STALE_HANDLE = OSError(errno.ESTALE, "Stale file handle")


def fail_reading(room: Room, monkeypatch: pytest.MonkeyPatch, when: Callable[[], bool]) -> None:
    read_bytes = Path.read_bytes

    def stale(path: Path) -> bytes:
        if path == room.path and when():
            raise STALE_HANDLE
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", stale)


def test_an_error_while_reading_is_an_unreadable_file(room, monkeypatch):
    room.beating(**DONE)
    fail_reading(room, monkeypatch, lambda: True)
    require_not_believed(room, "an unreadable control file (OSError [Errno 116] Stale file handle)")


def test_an_error_while_reading_is_waited_out(room, monkeypatch):
    room.rank_0 = lambda passed_s: room.put(
        document(beat=int(passed_s * 100), **({"turn": 1, "turns": {"1": "right"}} if passed_s >= 4 else {}))
    )
    fail_reading(room, monkeypatch, lambda: room.passed_s < 1 or 2 < room.passed_s < 6)
    assert room.reader.wait(1, "x") == "right"
    assert 6 <= room.passed_s < 6.5


@pytest.mark.parametrize("said", [{}, DONE, FAILED, DONE | FAILED], ids=["alive", "done", "failed", "both"])
def test_a_leftover_of_an_equally_named_launch_never_changes_and_is_not_believed(room, said):
    room.put(document(**said))
    require_not_believed(room, "a control file that has not changed yet (beat 41)")


def test_the_process_of_a_leftover_is_not_looked_at(room, dead_pid):
    room.put(document(place=process_place(), pid=dead_pid))
    require_not_believed(room, "a control file that has not changed yet (beat 41)")


STALE = (
    {name: what for name, (what, _) in UNREADABLE.items()}
    | {name: document(**changes, **DONE, **FAILED) for name, (changes, _) in FOREIGN.items()}
    | {name: document(**changes) for name, changes in ANOTHER_SHAPE.items()}
    | {"missing": None, "a leftover": document(**DONE, **FAILED), "a leftover of a higher turn": document(turn=9)}
)


@pytest.mark.parametrize("first_beat", [1, 41], ids=["a lower beat", "the same beat"])
def test_a_good_file_in_the_place_of_a_stale_one_lets_the_reader_go_on(tmp_path, first_beat):
    for name, stale in STALE.items():
        room, beats = Room(tmp_path), itertools.count(first_beat)
        room.put(stale)

        def work(passed_s: float, room: Room = room, beats: itertools.count = beats) -> None:
            if passed_s >= 4.5:
                done = {"turn": 1, "turns": {"1": "right"}} if passed_s >= 9 else {}
                room.put(document(beat=next(beats), **done))

        room.rank_0 = work
        assert room.reader.wait(1, "x") == "right", name
        assert 9 <= room.passed_s < 9.5, name


LATER: dict[str, tuple[dict[str, Any] | bytes | None, str]] = {
    "foreign": (document(launch="other@host:29501", beat=99), "a control file of another launch (other@host:29501)"),
    "of a future version": (FUTURE, FOREIGN["a future version"][1]),
    "unreadable": (b"{", "an unreadable control file (json.invalid)"),
    "of another shape": (document(turns=[]), "a control file of another shape"),
    "missing": (None, "no control file"),
}


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_believed_file_that_is_none_any_more_is_named_when_the_reader_gives_up(room, name):
    what, words = LATER[name]
    room.rank_0 = lambda passed_s: room.put(document(beat=min(3, int(passed_s))) if passed_s < 3.5 else what)
    err = room.lost()
    assert err.detail == (
        f'rank 3 gave up on rank 0 in "tokenizer": beat 3 has not changed for 5 s (limit 5 s); it saw {words}'
    )
    assert 8 <= room.passed_s < 8.6


def test_a_believed_file_that_comes_back_is_not_named(room):
    room.rank_0 = lambda passed_s: room.put(b"{" if 2 < passed_s < 4 else document(beat=min(5, int(passed_s))))
    assert room.lost().detail.endswith("beat 5 has not changed for 5 s (limit 5 s)")


# --- a stop while rank 0 is not heard


def require_stopped(room: Room, words: str, at_s: float = 0.0) -> None:
    room.stopped_at_s = at_s
    assert (
        room.lost(what="taking the lock").detail == f"rank 3 was stopped while it waited for 'taking the lock'; {words}"
    )
    assert at_s <= room.passed_s < at_s + 0.3


@pytest.mark.parametrize("at_s", [0.0, 3.0])
def test_a_stop_ends_the_wait_for_a_rank_0_that_was_never_heard(room, at_s):
    require_stopped(room, "no control file", at_s)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_stop_does_not_make_a_foreign_file_believed(room, name):
    changes, words = FOREIGN[name]
    room.beating(**(changes | DONE | FAILED))
    require_stopped(room, words, 1.0)


@pytest.mark.parametrize("at_s", [0.0, 3.0])
def test_a_stop_ends_with_the_error_that_stands_in_an_unchanged_file_of_this_launch(room, at_s):
    room.put(document(**FAILED))
    room.stopped_at_s = at_s
    err = room.refused()
    assert (err.code, err.exit_code, err.detail) == ("disk.full", REASONS["disk.full"].exit_code, "rank 0: wrong")
    assert at_s <= room.passed_s < at_s + 0.3


def test_a_stop_takes_no_value_from_an_unchanged_file(room):
    room.put(document(**DONE))
    require_stopped(room, "a control file that has not changed yet (beat 41)", 1.0)


def test_a_stop_does_not_end_the_wait_for_a_rank_0_that_speaks(room):
    room.stopped_at_s = 1.0
    room.rank_0 = lambda passed_s: room.put(
        document(beat=int(passed_s * 100), **({"turn": 1, "turns": {"1": "right"}} if passed_s >= 10 else {}))
    )
    room.put(document(beat=0, progress=1))
    assert room.reader.wait(1, "x") == "right"
    assert room.passed_s >= 10
    room.rank_0 = lambda passed_s: room.put(document(beat=int(passed_s * 100), **FAILED))
    assert room.refused(2).code == "disk.full"


# --- the process itself


def test_a_process_that_is_gone_from_this_place_is_noticed_at_once(room, dead_pid):
    room.beating(host="another name", place=process_place(), pid=dead_pid)
    err = room.lost(what="waiting")
    assert err.detail == f'rank 3 lost rank 0 in "tokenizer": its process {dead_pid} is gone'
    assert str(room.root / "logs/rank0.log") in err.fix
    assert room.passed_s < 0.1


def test_a_process_that_dies_during_the_wait_is_noticed_at_the_next_look(room):
    child = subprocess.Popen(["sleep", "60"])
    numbers = itertools.count(1)

    def work(passed_s: float) -> None:
        number = next(numbers)
        room.put(document(beat=number, progress=number, place=process_place(), pid=child.pid))
        if passed_s >= 50 and child.returncode is None:
            child.kill()
            child.wait()

    room.rank_0 = work
    try:
        assert f"its process {child.pid} is gone" in room.lost().detail
    finally:
        child.kill()
        child.wait()
    assert 50 <= room.passed_s < 50.5


def test_the_same_number_at_another_place_is_not_looked_at_though_the_hosts_have_one_name(room, dead_pid):
    room.beating(host=platform.node(), pid=dead_pid)
    assert "progress 7 has not changed for 20 s" in room.lost().detail
    assert room.passed_s >= 20
    room.beating(host=platform.node(), pid=dead_pid, turn=1, turns={"1": "from afar"})
    assert room.reader.wait(1, "x") == "from afar"


def test_a_place_is_the_same_for_all_processes_of_a_boot_and_a_namespace(monkeypatch):
    program = "from picochat.distributed.control import process_place; print(process_place())"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert found == process_place() == process_place()
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() in found
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[1]")
    assert process_place() != found, "another namespace"

    def fail(path: str) -> str:
        raise OSError(errno.ENOENT, path)

    monkeypatch.setattr(os, "readlink", fail)
    assert process_place() != process_place(), "what is not known is no place to look at"


def test_what_a_process_said_before_it_went_is_still_heard(tmp_path, dead_pid):
    mine = {"place": process_place(), "pid": dead_pid}
    room = Room(tmp_path)
    room.beating(**mine, turn=1, turns={"1": "last words"})
    assert room.reader.wait(1, "x") == "last words"
    room.put(document(**mine, **FAILED))
    assert room.refused(2).code == "disk.full"


@pytest.mark.parametrize("said", [{"turn": 1, "turns": {"1": "last words"}}, FAILED], ids=["a value", "an error"])
def test_what_a_process_says_between_a_look_and_its_end_is_still_heard(room, monkeypatch, said):
    ended, numbers = [], itertools.count()

    def put(**changes: Any) -> None:
        room.put(document(beat=next(numbers), place=process_place(), pid=os.getpid(), **changes))

    def ends_at_the_third_look(pid: int) -> int | None:
        if next(numbers) < 9:
            return 1
        if not ended:
            ended.append(room.passed_s)
            put(**said)
        return None

    monkeypatch.setattr(control, "process_start", ends_at_the_third_look)
    room.rank_0 = lambda passed_s: None if ended else put()
    if said is FAILED:
        assert room.refused().code == "disk.full"
    else:
        assert room.reader.wait(1, "x") == "last words"
    assert ended and room.passed_s < 0.5


def test_a_process_that_ended_one_turn_short_is_lost(room, dead_pid):
    room.beating(place=process_place(), pid=dead_pid, turn=1, turns={"1": "last words"})
    assert room.reader.wait(1, "x") == "last words"
    assert f"its process {dead_pid} is gone" in room.lost(2).detail


# --- turns that are over


def test_a_reader_that_comes_too_late_is_refused_and_never_given_another_value(room, writer):
    for turn in range(1, KEPT_TURNS + 9):
        writer.finish(f"value {turn}")
    room.rank_0 = lambda passed_s: writer.begin("x")
    for turn in (9, KEPT_TURNS + 8, 20):
        assert room.reader.wait(turn, "x") == f"value {turn}"
    for turn in (1, 8):
        err = room.lost(turn, "the ledger")
        assert err.detail == f"rank 3 came too late for 'the ledger': rank 0 is {KEPT_TURNS + 8 - turn} turns ahead"
    assert room.passed_s < 1


# --- the wall clock


def no_wall_clock(*_: Any) -> Any:
    raise AssertionError("the wall clock was read")


def test_the_wall_clock_is_never_read(tmp_path, room, monkeypatch):
    for name in ("time", "time_ns", "localtime", "gmtime", "ctime"):
        monkeypatch.setattr(time, name, no_wall_clock)
    with pytest.raises(AssertionError):
        time.time()
    writer = ControlWriter(tmp_path, MAIN, 0.002)
    await_beat(tmp_path, 3)
    writer.begin("tokenizer")
    writer.finish("value")
    room.rank_0 = lambda passed_s: writer.begin("base")
    assert room.reader.wait(1, "tokenizer") == "value"
    writer.close()
    room.rank_0 = lambda passed_s: None
    room.lost(2)


@pytest.mark.parametrize("year", [2000, 2100])
def test_the_time_of_the_file_does_not_matter(room, year):
    hour = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    room.put(document(beat=1))
    os.utime(room.path, (hour, hour))

    def work(passed_s: float) -> None:
        done = {"turn": 1, "turns": {"1": "value"}} if passed_s >= 8 else {}
        room.put(document(beat=1 + int(min(passed_s, 9) // 3), progress=7 + len(done), **done))
        os.utime(room.path, (hour, hour))

    room.rank_0 = work
    assert room.reader.wait(1, "x") == "value"
    assert 8 <= room.passed_s < 8.5
    assert "beat 4 has not changed for 5 s" in room.lost(2).detail
    assert room.passed_s < 14.5
