"""C2: however long rank 0 prepares, the others wait while it lives, and no longer when it does not."""

import re
import time
from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command
from tests.support.launched import exit_code, launch, log_of, run_launched, wait_until
from tests.support.tiny_run import picochat

from picochat.artifacts import layout
from picochat.core.jsonio import pretty_json, read_json
from picochat.views.runs.run_state import process_start

STEPS = 6
SHORT = base_settings(STEPS, eval_every=0, sample_every=0)


@pytest.mark.alone
@pytest.mark.bar("C2")
def test_a_set_up_longer_than_the_collective_timeout_proceeds(
    prepared: Prepared, tmp_path: Path, pytestconfig, measured
):
    """Rank 0 is held up in the third thing that it does alone, before the group is joined."""
    action, seconds, timeout_s = ("sleep", 30, 5.0) if pytestconfig.getoption("--full") else ("nap", 6, 4.0)
    waits = {"distributed.first_step_timeout_s": timeout_s, "distributed.step_timeout_s": timeout_s}
    started = time.monotonic()
    words = command(prepared, tmp_path / "run", SHORT | waits)
    done = run_launched(tmp_path, *words, failpoint=f"setup.alone:{action}@3#0")
    assert done.returncode == 0, done.output[-3000:]
    assert time.monotonic() - started > seconds
    measured(f"rank 0 alone for {seconds} s with a collective timeout of {timeout_s:g} s: the run proceeds")


@pytest.mark.alone
@pytest.mark.full_size
@pytest.mark.bar("C2")
def test_a_save_longer_than_the_collective_timeout_proceeds(prepared: Prepared, tmp_path: Path, measured):
    waits = {"distributed.first_step_timeout_s": 3.0, "distributed.step_timeout_s": 3.0}
    words = command(prepared, tmp_path / "run", SHORT | waits | {"base.loop.save_every": 2})
    done = run_launched(tmp_path, *words, failpoint="ckpt.before_manifest:nap#0")
    assert done.returncode == 0, done.output[-3000:]
    measured("a save of 6 s with a collective timeout of 3 s: the run proceeds")


@pytest.mark.alone
@pytest.mark.bar("C2")
def test_a_frozen_rank_0_is_left_with_its_log_named(prepared: Prepared, tmp_path: Path, measured):
    root = tmp_path / "run"
    frozen = {"distributed.beat_s": 0.5, "distributed.beat_limit_s": 3.0}
    launched = launch(tmp_path, *command(prepared, root, SHORT | frozen), failpoint="setup.alone:sigstop@3#0")
    try:
        wait_until(lambda: is_stopped(launched.pid(0)), "rank 0 did not stop")
        seconds = launched.seconds_until(lambda: process_start(launched.pid(1)) is None, "rank 1 waited on")
        assert 1.5 <= seconds <= 8
        said = log_of(root, 1)
        assert 'rank 1 gave up on rank 0 in "looking at stage base": beat' in said and "(limit 3 s)" in said
        assert str(root / layout.rank_log(0)) in launched.output()
        assert exit_code(root, 1) == 5
    finally:
        launched.end()
    measured(f"rank 0 frozen: rank 1 ended after {seconds:.1f} s (limit 3 s) and named rank 0's log")


@pytest.mark.bar("C2")
@pytest.mark.parametrize(
    "stale",
    [
        "of another launch",
        *(pytest.param(name, marks=pytest.mark.full_size) for name in ("empty", "garbage", "of the future")),
    ],
)
def test_a_stale_control_file_is_not_believed(prepared: Prepared, tmp_path: Path, stale: str, measured):
    """It says that everything has failed; the run goes its way."""
    root = tmp_path / "run"
    failed = {
        "schema": {"name": "ddp_control", "version": 1 if "launch" in stale else 9},
        "launch": "job",
        "attempt": 0,
    }
    failed |= {"host": "h", "pid": 1, "doing": "x", "beat": 3, "progress": 3, "turn": 9, "turns": {}}
    failed |= {"error": {"code": "disk.full", "detail": "an old story", "why": None, "fix": None}}
    root.mkdir()
    text = {"empty": b"", "garbage": b"\x00\xff{"}.get(stale, pretty_json(failed))
    (root / layout.DDP_CONTROL).write_bytes(text)
    done = run_launched(tmp_path, *command(prepared, root, SHORT))
    assert done.returncode == 0 and "an old story" not in done.output, done.output[-3000:]
    measured(f"a control file that is {stale}: not believed")


@pytest.mark.alone
@pytest.mark.full_size
@pytest.mark.bar("C2")
def test_two_clocks_an_hour_apart_do_not_matter(prepared: Prepared, tmp_path: Path, measured):
    """Rank 1 lives an hour later than rank 0, whose save takes longer than the others wait for a beat."""
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        pytest.skip("NOT RUN: libfaketime is missing (package faketime)")
    script = tmp_path / "late.sh"
    script.write_text(f'#!/bin/sh\n[ "$RANK" = 1 ] && export LD_PRELOAD={library} FAKETIME=+1h\nexec "$@"\n')
    script.chmod(0o755)
    words = command(prepared, tmp_path / "run", SHORT | {"distributed.beat_s": 0.5, "distributed.beat_limit_s": 3.0})
    done = launch(tmp_path, *words, failpoint="ckpt.before_manifest:nap#0", script=script).wait()
    assert done.returncode == 0, done.output[-3000:]
    hours = [int(re.findall(r" (\d\d):\d\d:\d\d,", log_of(tmp_path / "run", rank))[0]) for rank in (0, 1)]
    assert (hours[1] - hours[0]) % 24 in (1, 2), "rank 1 did not live later"
    measured("rank 1 an hour ahead of rank 0: the run proceeds through a save of 6 s with a limit of 3 s")


def test_rank_0_s_refusal_ends_all_ranks_with_its_code_and_text(prepared: Prepared, tmp_path: Path):
    root = tmp_path / "run"
    root.mkdir()
    (root / "letter.txt").write_text("mine")
    done = run_launched(tmp_path, *command(prepared, root, SHORT))
    assert done.returncode == 1 and {exit_code(root, rank) for rank in (0, 1)} == {2}
    assert "rank 1: error: rank 0: " in done.output and "is not empty and holds no run.json" in done.output
    assert read_json(root / layout.STATUS)["error"]["code"] == "run.not_empty"


@pytest.mark.parametrize(
    ("words", "ddp", "said"),
    [
        (["run", "tiny"], True, "give --out-dir"),
        (["run", "tiny", "--out-dir", "x"], False, "--ddp is missing"),
        (["demo", "--out-dir", "x"], False, "--ddp is missing"),
    ],
)
def test_a_launch_that_makes_no_sense_is_refused(tmp_path: Path, monkeypatch, words, ddp, said):
    launched = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    done = picochat(*words, *(["--ddp"] if ddp else []), cwd=tmp_path, **launched)
    assert done.returncode == 2 and said in done.stderr


def test_ddp_without_a_launcher_is_refused(tmp_path: Path):
    done = picochat("run", "tiny", "--ddp", "--out-dir", tmp_path / "run")
    assert done.returncode == 2 and "torchrun --standalone" in done.stderr and not (tmp_path / "run").exists()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
