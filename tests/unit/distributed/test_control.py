"""What rank 0 says in ddp_control.json, and what a worker believes of it: on a clock that a fake sleep moves."""

import itertools
import json
import os
import platform
import subprocess
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
from picochat.distributed import control
from picochat.distributed.config import DistributedConfig
from picochat.distributed.control import KEPT_TURNS, ControlReader, ControlWriter
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
        "host": f"not-{platform.node()}",
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

    def __init__(self, root: Path, stride_s: float = 0.0, **limits: float) -> None:
        self.root = root
        self.path = root / layout.DDP_CONTROL
        self.clock = ManualClock(1000.0)
        self.sleeps: list[float] = []
        self.rank_0: Callable[[float], None] = lambda passed_s: None
        self._stride_s = stride_s
        config = DistributedConfig(**({"beat_s": 1.0, "beat_limit_s": 5.0, "progress_limit_s": 20.0} | limits))
        self.reader = ControlReader(root, WORKER, config, self.clock, self._sleep)

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

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.now += max(seconds, self._stride_s)
        assert len(self.sleeps) < 20_000, "the reader never comes to an end"
        self.rank_0(self.passed_s)


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
    assert (first["host"], first["pid"]) == (platform.node(), os.getpid())
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


# --- errors


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_is_raised_again_with_its_code_and_exit_code(tmp_path, room, code):
    said = PicochatError(code, "12 bytes are free", why="because", fix="do this")
    writer = ControlWriter(tmp_path, MAIN, 1000.0)
    room.rank_0 = lambda passed_s: writer.fail(said)
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(1, "x")
    writer.close()
    heard = caught.value
    assert (heard.code, heard.exit_code) == (code, said.exit_code)
    assert (heard.detail, heard.why, heard.fix) == ("rank 0: 12 bytes are free", "because", "do this")
    assert read(tmp_path)["state"] == ("blocked" if said.exit_code == 3 else "failed")


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
    days = 3 * 24 * 3600

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
} | {
    f"without {key}": ({k: v for k, v in document(**DONE).items() if k != key}, f"KeyError '{key}'")
    for key in ("schema", "launch", "attempt", "beat", "progress", "turn", "turns", "error", "doing", "host", "pid")
}
FOREIGN = {
    "a future version": (
        {"schema": {"name": "ddp_control", "version": VERSION + 1}},
        f"a control file of version {VERSION + 1}, this is {VERSION}",
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


@pytest.mark.parametrize("said", [DONE, FAILED, DONE | FAILED], ids=["done", "failed", "both"])
@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_foreign_file_is_not_believed_and_named_however_lively_it_is(room, name, said):
    changes, words = FOREIGN[name]
    room.beating(**(changes | said))
    require_not_believed(room, words)


@pytest.mark.parametrize("said", [{}, DONE, FAILED, DONE | FAILED], ids=["alive", "done", "failed", "both"])
def test_a_leftover_of_an_equally_named_launch_never_changes_and_is_not_believed(room, said):
    room.put(document(**said))
    require_not_believed(room, "a control file that has not changed yet (beat 41)")


def test_the_process_of_a_leftover_is_not_looked_at(room, dead_pid):
    room.put(document(host=platform.node(), pid=dead_pid))
    require_not_believed(room, "a control file that has not changed yet (beat 41)")


STALE = (
    {name: what for name, (what, _) in UNREADABLE.items()}
    | {name: document(**changes, **DONE, **FAILED) for name, (changes, _) in FOREIGN.items()}
    | {"missing": None, "a leftover": document(**DONE, **FAILED), "a leftover of a higher turn": document(turn=9)}
)


@pytest.mark.parametrize("first_beat", [1, 41], ids=["a lower beat", "the same beat"])
@pytest.mark.parametrize("name", sorted(STALE))
def test_a_good_file_in_the_place_of_a_stale_one_lets_the_reader_go_on(room, name, first_beat):
    room.put(STALE[name])
    beats = itertools.count(first_beat)

    def work(passed_s: float) -> None:
        if passed_s >= 4.5:
            done = {"turn": 1, "turns": {"1": "right"}} if passed_s >= 9 else {}
            room.put(document(beat=next(beats), **done))

    room.rank_0 = work
    assert room.reader.wait(1, "x") == "right"
    assert 9 <= room.passed_s < 9.5


# --- the process itself


def test_a_process_that_is_gone_from_this_host_is_noticed_at_once(room, dead_pid):
    room.beating(host=platform.node(), pid=dead_pid)
    err = room.lost(what="waiting")
    assert err.detail == f'rank 3 lost rank 0 in "tokenizer": its process {dead_pid} is gone'
    assert str(room.root / "logs/rank0.log") in err.fix
    assert room.passed_s < 0.1


def test_a_process_that_dies_during_the_wait_is_noticed_at_the_next_look(room):
    child = subprocess.Popen(["sleep", "60"])
    numbers = itertools.count(1)

    def work(passed_s: float) -> None:
        number = next(numbers)
        room.put(document(beat=number, progress=number, host=platform.node(), pid=child.pid))
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


def test_the_same_number_on_another_host_is_not_looked_at(room, dead_pid):
    room.beating(pid=dead_pid)
    assert "beat" not in room.lost().detail, "only the progress stood still"
    assert room.passed_s >= 20
    room.beating(pid=dead_pid, turn=1, turns={"1": "from afar"})
    assert room.reader.wait(1, "x") == "from afar"


def test_what_a_process_said_before_it_went_is_still_heard(tmp_path, dead_pid):
    mine = {"host": platform.node(), "pid": dead_pid}
    room = Room(tmp_path)
    room.beating(**mine, turn=1, turns={"1": "last words"})
    assert room.reader.wait(1, "x") == "last words"
    room.put(document(**mine, **FAILED))
    with pytest.raises(PicochatError) as caught:
        room.reader.wait(2, "x")
    assert caught.value.code == "disk.full"


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
