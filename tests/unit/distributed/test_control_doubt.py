"""What a rank does not believe of ddp_control.json, and how it ends when it is stopped meanwhile."""

import errno
import itertools
import json
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest
from tests.support.control_room import FAILED, VERSION, Room, document

from picochat.core import jsonio
from picochat.core.reasons import REASONS
from picochat.distributed.control import process_place

# --- what is not believed

DONE = {"turn": 1, "turns": {"1": "wrong"}}
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
    open_file = jsonio.open_file

    def stale(path: Path) -> BufferedReader:
        if path == room.path and when():
            raise STALE_HANDLE
        return open_file(path)

    monkeypatch.setattr(jsonio, "open_file", stale)


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
