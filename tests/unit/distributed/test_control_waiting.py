"""How a rank waits for rank 0: errors, patience, the process itself, turns that are over, and no wall clock."""

import errno
import itertools
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.control_room import FAILED, MAIN, Room, await_beat, document, read

from picochat.core.errors import PicochatError, refuse
from picochat.core.reasons import REASONS, Reason
from picochat.distributed import control
from picochat.distributed.control import KEPT_TURNS, ControlWriter, describe_error, process_place

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
