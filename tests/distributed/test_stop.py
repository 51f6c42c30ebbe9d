"""C3 on two ranks: whoever of them gets the signal, both save that very step and exit 75."""

import random
import signal
from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command, differences, saved_step
from tests.support.launched import TWO_MICRO_BATCHES, exit_code, launch, ledger_lines, run_launched, wait_until
from tests.support.tiny_run import picochat

from picochat.artifacts.store import RunStore

SHORT = ("rank 1",)
WAYS = ["rank 0", "rank 1", "launcher", "picochat stop"]


@pytest.mark.bar("C3")
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in SHORT else pytest.mark.full_size) for way in WAYS]
)
def test_both_ranks_save_the_step_and_a_resume_is_exact(
    prepared: Prepared, undisturbed: RunStore, tmp_path: Path, way: str, size, measured
):
    rng = random.Random(way)
    for number in range(size(short=1, full=5)):
        root = tmp_path / f"run{number}"
        words = command(prepared, root, base_settings(**TWO_MICRO_BATCHES))
        after = rng.randrange(5, 45)
        launched = launch(tmp_path, *words)
        try:
            launched.pid(1)
            wait_until(lambda root=root, after=after: ledger_lines(root) >= after, "no steps")
            if way == "launcher":
                launched.process.send_signal(signal.SIGTERM)
            elif way == "picochat stop":
                assert picochat("stop", root).returncode == 0
            else:
                launched.signal(int(way[-1]), signal.SIGTERM)
            ended = launched.wait()
        finally:
            launched.end()
        if exit_code(root, 0) is None:  # the request came after the last step
            assert ended.returncode == 0
            continue
        assert {exit_code(root, rank) for rank in (0, 1)} == {75}, ended.output[-2000:]
        assert saved_step(root) == ledger_lines(root)
        assert run_launched(tmp_path, *words, "--resume").returncode == 0
        assert differences(RunStore(root), undisturbed) == []
        measured(f"two ranks, {way}: saved step {saved_at(root)}")


def saved_at(root: Path) -> int:
    """The step from which the resume went on."""
    return RunStore(root).read("base/report.json")["training"]["resumes"][-1]["step"]
