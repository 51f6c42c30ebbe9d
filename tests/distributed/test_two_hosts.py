"""Two launchers that meet at an address, as on two hosts: one process each, both with local rank 0."""

import subprocess
import sys
from pathlib import Path

from tests.support.base_run import Prepared, base_settings, command, saved_step, train
from tests.support.launched import ledger_lines, log_of
from tests.support.tiny_run import environment

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.training.ledger import spliced

STEPS = 12
SETTINGS = base_settings(STEPS, eval_every=0, sample_every=0, save_every=4) | {"machine.precision": "fp32"}


def run_on_two_hosts(words: list[object], port: int, failpoint: str = "") -> list[int]:
    """The exit codes of both launchers. The job's name is the same every time, as a user's script has it."""
    meeting = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d", "--rdzv_id=job"]
    argv = [sys.executable, "-m", "torch.distributed.run", *meeting, f"--rdzv_endpoint=localhost:{port}"]
    launchers = [
        subprocess.Popen(
            [*argv, "-m", "picochat.cli", *map(str, words), "--ddp"],
            env=environment(failpoint),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    try:
        return [launcher.wait(120) for launcher in launchers]
    finally:
        for launcher in launchers:
            launcher.kill()
            launcher.wait()


def test_two_launchers_make_one_training_and_resume_it_under_the_same_name(
    prepared: Prepared, tmp_path: Path, free_port
):
    root = tmp_path / "run"
    words = command(prepared, root, SETTINGS)
    assert all(run_on_two_hosts(words, free_port(), "step.after_backward:sigkill@7"))
    assert saved_step(root) == 4
    # The control file that the first attempt left has the same name of a job; it is not believed.
    assert (root / layout.DDP_CONTROL).exists()
    assert run_on_two_hosts([*words, "--resume"], free_port()) == [0, 0]
    assert ledger_lines(root) >= STEPS and "stage base finished" in log_of(root, 1)
    assert train(prepared, tmp_path / "alone", SETTINGS).returncode == 0
    ours, theirs = (
        [row["documents"] for row in spliced(RunStore(folder).path(f"{layout.BASE}/{layout.LEDGER}"))]
        for folder in (root, tmp_path / "alone")
    )
    assert ours == theirs
