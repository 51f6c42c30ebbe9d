"""The program itself on GPUs: a base training that is killed and gone on with, and one on two ranks over NCCL."""

from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="NOT RUN: tokenizers is missing")
pytest.importorskip("tiktoken", reason="NOT RUN: tiktoken is missing")

from tests.support.base_run import (
    STEPS,
    Prepared,
    base_settings,
    command,
    differences,
    prepare,
    saved_step,
    train,
)
from tests.support.launched import TWO_MICRO_BATCHES, run_launched

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


def settings_on(device: str, **more) -> dict:
    return base_settings(**TWO_MICRO_BATCHES) | {"machine.device": device} | more


@pytest.fixture(scope="module")
def undisturbed(device: str, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """Eighty steps on one GPU that nothing interrupts."""
    root = tmp_path_factory.mktemp("undisturbed") / "run"
    assert train(prepared, root, settings_on(device)).returncode == 0
    return RunStore(root)


def final_loss(store: RunStore) -> float:
    return store.read(layout.report_path(layout.BASE))["training"]["final_loss"]


def test_a_killed_training_goes_on_to_its_end(device, figure, prepared, undisturbed, tmp_path):
    """Torch chooses its kernels freely here, so equality to the bit is reported."""
    root, settings = tmp_path / "run", settings_on(device)
    killed = train(prepared, root, settings, failpoint="step.before_optimizer:sigkill@50")
    assert killed.returncode == -9 and saved_step(root) == 40
    assert train(prepared, root, settings, resume=True).returncode == 0
    assert saved_step(root) == STEPS
    found = differences(RunStore(root), undisturbed)
    figure("differs from a training that nothing interrupted", ", ".join(found) or "in nothing")
    assert final_loss(RunStore(root)) == pytest.approx(final_loss(undisturbed), rel=0.02)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("ranks", [2], indirect=True, ids=["two"])
def test_a_whole_training_on_two_ranks(device, figure, prepared, undisturbed, tmp_path: Path, ranks, strategy):
    more = {"distributed.fsdp_on_cpu": True} if device == "cpu" else {}
    words = [*command(prepared, tmp_path / "run", settings_on(device, **more)), "--distributed-strategy", strategy]
    done = run_launched(tmp_path, *words)
    assert done.returncode == 0, done.output[-3000:]
    ours, theirs = final_loss(RunStore(tmp_path / "run")), final_loss(undisturbed)
    figure("final loss, two ranks / one process - 1", f"{ours / theirs - 1:+.1e}")
    assert ours == pytest.approx(theirs, rel=0.02)
