"""C1: a rank that is killed or frozen ends the others soon, by name; without its launcher nobody stays behind."""

import signal
from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command, saved_step
from tests.support.launched import Launched, exit_code, launch, ledger_lines, log_of, wait_until

from picochat.checkpoint.verify import is_whole
from picochat.views.runs.run_state import process_start

pytestmark = pytest.mark.alone
TIMEOUT_S, MARGIN_S = 4.0, 5.0
LONG = base_settings(100_000, save_every=20, eval_every=0, sample_every=0) | {
    "base.loop.state_digest_every": 0,
    "distributed.step_timeout_s": TIMEOUT_S,
    "distributed.first_step_timeout_s": 30.0,
}


@pytest.fixture
def training(prepared: Prepared, tmp_path: Path):
    """Two ranks in the middle of their steps."""
    launched = launch(tmp_path, *command(prepared, tmp_path / "run", LONG))
    try:
        wait_until(lambda: ledger_lines(tmp_path / "run") > 25, f"no steps:\n{launched.output()[-2000:]}")
        launched.pid(1)
        yield launched
    finally:
        launched.end()


def ended(launched: Launched, rank: int) -> bool:
    return process_start(launched.pid(rank)) is None


@pytest.mark.bar("C1")
@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.full_size), 1])
def test_the_others_outlive_a_killed_rank_for_seconds_and_name_it(training: Launched, tmp_path: Path, victim, measured):
    other = 1 - victim
    training.signal(victim, signal.SIGKILL)
    seconds = training.seconds_until(lambda: ended(training, other), f"rank {other} did not end")
    assert seconds <= MARGIN_S
    log = log_of(tmp_path / "run", other)
    assert f"rank {victim}" in log.splitlines()[-1] and exit_code(tmp_path / "run", other) == 5, log[-1500:]
    assert training.wait().returncode == 1
    assert is_whole(tmp_path / "run" / "base" / "checkpoint")
    measured(f"rank {victim} killed: rank {other} ended after {seconds:.1f} s and named it")


@pytest.mark.bar("C1")
@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.full_size)])
def test_a_frozen_rank_is_named_when_the_timeout_is_over(training: Launched, tmp_path: Path, victim, measured):
    other = 1 - victim
    training.signal(victim, signal.SIGSTOP)
    seconds = training.seconds_until(lambda: ended(training, other), f"rank {other} did not end")
    training.signal(victim, signal.SIGCONT)
    assert TIMEOUT_S - 1 <= seconds <= TIMEOUT_S + MARGIN_S
    line = [row for row in log_of(tmp_path / "run", other).splitlines() if "ends with exit code" in row][-1]
    assert f"lost rank {victim}" in line and "exit code 5" in line
    measured(f"rank {victim} frozen: rank {other} ended after {seconds:.1f} s (timeout {TIMEOUT_S:g} s) and named it")


@pytest.mark.bar("C1")
def test_nobody_outlives_the_launcher(training: Launched, tmp_path: Path, measured):
    training.process.kill()
    seconds = training.seconds_until(lambda: not training.alive(), "a rank stayed behind its launcher")
    assert [exit_code(tmp_path / "run", rank) for rank in (0, 1)] == [75, 75]
    steps = ledger_lines(tmp_path / "run")
    assert saved_step(tmp_path / "run") == steps
    measured(f"launcher killed: both ranks saved step {steps} and ended after {seconds:.1f} s")
