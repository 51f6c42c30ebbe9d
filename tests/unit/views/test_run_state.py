from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest

from picochat.views.runs.run_state import STALLED_AFTER_S, process_start, read_run_state


def write_status(root: Path, **fields: Any) -> None:
    status = {
        "state": "running",
        "stage": "base",
        "step": 5,
        "steps": 10,
        "eta_s": 3.0,
        "host": platform.node(),
        "pid": os.getpid(),
    }
    (root / "status.json").write_text(json.dumps(status | {"process_started": process_start(os.getpid())} | fields))


def test_a_living_writer_is_running(tmp_path: Path) -> None:
    write_status(tmp_path)
    state = read_run_state(tmp_path)
    assert (state.state, state.stage, state.step, state.steps, state.eta_s) == ("running", "base", 5, 10, 3.0)


def test_a_writer_that_is_gone_or_whose_number_was_given_away_has_crashed(tmp_path: Path) -> None:
    write_status(tmp_path)
    assert read_run_state(tmp_path, started=lambda pid: None).state == "crashed"
    write_status(tmp_path, process_started=1)
    state = read_run_state(tmp_path)
    assert (state.state, state.eta_s) == ("crashed", None)


def test_a_writer_that_lives_and_writes_no_more_has_stalled(tmp_path: Path) -> None:
    for age_s, expected in ((STALLED_AFTER_S, "running"), (STALLED_AFTER_S + 1, "stalled")):
        write_status(tmp_path, beat_at_s=100.0)
        state = read_run_state(tmp_path, monotonic=lambda now=100.0 + age_s: now)
        assert state.state == expected
        assert (state.eta_s is None) == (expected == "stalled")
    assert read_run_state(tmp_path, started=lambda pid: None, monotonic=lambda: 1e9).state == "crashed"
    write_status(tmp_path, beat_at_s=100.0, host="elsewhere")
    assert read_run_state(tmp_path, monotonic=lambda: 1e9).state == "running", "another host has another clock"


def test_a_writer_on_another_host_is_believed(tmp_path: Path) -> None:
    write_status(tmp_path, host="elsewhere")
    assert read_run_state(tmp_path, started=lambda pid: None).state == "running"


def test_a_finished_run_needs_no_process(tmp_path: Path) -> None:
    write_status(tmp_path, state="finished", pid=None)
    (tmp_path / "gate.json").write_text(json.dumps({"verdict": "warn", "profile": "research"}))
    state = read_run_state(tmp_path, started=lambda pid: None)
    assert (state.state, state.verdict, state.profile) == ("finished", "warn", "research")


def test_missing_files_are_unknown_and_never_zero(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "step", "t": "now", "stage": "sft"}\n{"kind": "st')
    state = read_run_state(tmp_path)
    assert (state.state, state.step, state.tokens_per_s, state.verdict) == ("unknown", None, None, None)
    assert (state.stage, state.last_event) == ("sft", "step now")
    assert state.unreadable == ()


def test_a_torn_file_is_named_with_the_reason_and_what_is_known_stays(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "runn')
    (tmp_path / "gate.json").write_text(json.dumps({"verdict": "approved"}))
    state = read_run_state(tmp_path)
    assert (state.state, state.process, state.verdict) == ("unreadable", "unknown", "approved")
    [file] = state.unreadable
    assert file.file == "status.json" and "not strict JSON" in file.why
    assert state.to_json()["unreadable"] == [{"file": "status.json", "why": file.why}]


@pytest.mark.parametrize("name", ["status.json", "gate.json", "run.json", "events.jsonl"])
def test_a_link_or_a_pipe_is_not_followed_and_not_waited_for(tmp_path: Path, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.write_text('{"state": "finished", "verdict": "approved", "kind": "step", "t": "now"}\n')
    (run / name).symlink_to(outside)
    state = read_run_state(run)
    assert (state.state, state.verdict, state.last_event) == ("unreadable", None, None)
    assert state.unreadable[0].why == "it is a link, and links are not followed"
    (run / name).unlink()
    os.mkfifo(run / name)
    assert read_run_state(run).unreadable[0].why == "it is no regular file"


@pytest.mark.parametrize(
    ("process", "verdict", "shown"),
    [
        ("finished", "blocked", "blocked"),
        ("stopped", "blocked", "blocked"),
        ("finished", "warn", "finished"),
        ("running", "blocked", "running"),
        ("failed", "blocked", "failed"),
        ("<b>", None, "unknown"),
    ],
)
def test_a_run_shows_the_worst_of_its_process_and_its_gate(
    tmp_path: Path, process: str, verdict: str | None, shown: str
) -> None:
    write_status(tmp_path, state=process)
    (tmp_path / "gate.json").write_text(json.dumps({"verdict": verdict}))
    state = read_run_state(tmp_path)
    assert (state.state, state.verdict) == (shown, verdict)


def test_a_training_that_preflight_held_back_is_blocked_until_it_has_begun(tmp_path: Path) -> None:
    write_status(tmp_path, state="finished")
    (tmp_path / "preflight.json").write_text(json.dumps({"verdict": "blocked"}))
    assert read_run_state(tmp_path).state == "blocked"
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "report.json").write_text("{}")
    assert read_run_state(tmp_path).state == "finished"


def test_a_step_that_the_status_had_no_time_to_tell_stands_in_the_events(tmp_path: Path) -> None:
    write_status(tmp_path, state="finished", step=5)
    (tmp_path / "events.jsonl").write_text('{"kind": "step", "t": "now", "stage": "base", "step": 7}\n')
    assert read_run_state(tmp_path).step == 7
    (tmp_path / "events.jsonl").write_text('{"kind": "step", "t": "now", "stage": "sft", "step": 9}\n')
    assert read_run_state(tmp_path).step == 5, "a step of another stage"


def test_process_start_of_nobody_is_none() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid())
    assert process_start(2**22 + 1) is None
