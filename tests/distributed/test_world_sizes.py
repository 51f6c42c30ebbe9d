"""B3: one, two and four ranks train on the same documents in every step, to nearly the same loss; three are refused."""

from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command, train
from tests.support.launched import exit_code, launch

from picochat.artifacts import layout
from picochat.training.ledger import spliced

STEPS = 20
SETTINGS = base_settings(STEPS, micro_batch_size=2, eval_every=0, sample_every=0) | {"machine.precision": "fp32"}


def ledger(root: Path) -> list[dict]:
    return spliced(root / layout.BASE / layout.LEDGER)


@pytest.mark.bar("B3")
def test_every_number_of_ranks_takes_the_same_steps(
    prepared: Prepared, tmp_path: Path, pytestconfig: pytest.Config, measured
):
    """Short: four ranks; two of them stand beside one process in test_whole_run."""
    assert train(prepared, tmp_path / "1", SETTINGS).returncode == 0
    alone = ledger(tmp_path / "1")
    assert len(alone) == STEPS
    for ranks in (2, 4) if pytestconfig.getoption("--full") else (4,):
        root = tmp_path / str(ranks)
        done = launch(tmp_path, *command(prepared, root, SETTINGS), ranks=ranks).wait()
        assert done.returncode == 0, done.output[-3000:]
        together = ledger(root)
        assert [row["documents"] for row in together] == [row["documents"] for row in alone]
        assert [row["targets"] for row in together] == [row["targets"] for row in alone]
        pairs = zip(together, alone, strict=True)
        worst = max(abs(float.fromhex(a["loss"]) / float.fromhex(b["loss"]) - 1) for a, b in pairs)
        assert worst < 1e-6
        measured(f"{ranks} ranks: {STEPS} of {STEPS} steps on the same documents, loss within {worst:.0e} of one rank")


@pytest.mark.bar("B3")
def test_ranks_that_cannot_share_a_step_are_refused(prepared: Prepared, tmp_path: Path, measured):
    root = tmp_path / "run"
    done = launch(tmp_path, *command(prepared, root, SETTINGS), ranks=3).wait()
    assert done.returncode == 1 and "a step of 4 rows cannot be shared by 3 ranks" in done.output
    assert {exit_code(root, rank) for rank in range(3)} == {2}
    measured("3 ranks for 4 rows: refused by name")
