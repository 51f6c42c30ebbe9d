"""The loop's laws: a bad step costs one step and no bit, accumulation changes nothing, masked targets count nothing."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.tiny_trainer import ROW_TOKENS, Poisoned, Recorder, Rows, build_tiny_trainer, ledger_of

from picochat.data.batches import BatchStream
from picochat.data.rows import IGNORE
from picochat.training.keeper import state_digest
from picochat.training.ledger import Ledger
from picochat.training.trainer import GuardStop, Trainer

_open_ledgers: list[Ledger] = []


@pytest.fixture(autouse=True)
def close_ledgers() -> Iterator[None]:
    yield
    while _open_ledgers:
        _open_ledgers.pop().close()


def build_trainer(folder: Path, objective=None, **options) -> tuple[Trainer, Recorder]:
    trainer, recorder = build_tiny_trainer(folder, objective, **options)
    _open_ledgers.append(trainer.loop.ledger)
    return trainer, recorder


@pytest.mark.parametrize("kind", ["loss", "inf", "gradient"])
@pytest.mark.parametrize("call", [1, 6, 7], ids=["first step", "last micro-batch", "first micro-batch"])
def test_one_poisoned_value_costs_one_step_and_no_bit(tmp_path: Path, kind: str, call: int):
    trainer, seen = build_trainer(tmp_path, Poisoned({call}, kind))
    before = state_digest(trainer)
    assert trainer.fit() == ""
    bad = (call + 1) // 2
    digests = [before, *seen.digests]
    assert seen.skipped == [bad]
    assert digests[bad] == digests[bad - 1], "weights, moments, counters and EMA keep every bit"
    assert len(set(digests)) == len(digests) - 1, "every other step trains"
    assert (trainer.state.step, trainer.state.skipped_steps) == (8, 1)
    assert trainer.state.tokens_seen == 8 * 4 * ROW_TOKENS, "a skipped step counts as consumed"
    lines = ledger_of(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["verdict"] for line in lines] == ["skipped" if step == bad else "ok" for step in range(1, 9)]
    assert all(torch.isfinite(parameter).all() for parameter in trainer.model.parameters())


def test_a_spike_is_rejected_once_enough_steps_are_known(tmp_path: Path):
    """The same factor before the 32nd accepted step would pass: nothing is known yet."""
    trainer, seen = build_trainer(tmp_path, Poisoned({40}, "spike"), steps=45, micro_batches=1)
    trainer.fit()
    assert seen.skipped == [40]


def test_the_documents_of_a_run_do_not_depend_on_the_guard(tmp_path: Path):
    for name, objective in (("clean", None), ("poisoned", Poisoned({5, 9}))):
        build_trainer(tmp_path / name, objective)[0].fit()
    clean, poisoned = (ledger_of(tmp_path / name) for name in ("clean", "poisoned"))
    for key in ("step", "documents", "targets", "lr", "rng"):
        assert [line[key] for line in clean] == [line[key] for line in poisoned]


def test_five_rejects_in_a_row_stop_the_run_after_its_checkpoint(tmp_path: Path):
    trainer, seen = build_trainer(tmp_path, Poisoned(set(range(5, 100))))
    with pytest.raises(GuardStop, match="5 steps in a row"):
        trainer.fit()
    assert seen.skipped == [3, 4, 5, 6, 7]
    assert len(seen.stopped) == 1, "on_stop is where the checkpoint is saved"
    assert trainer.state.step == 7
    assert len(set(seen.digests[1:])) == 1


def test_the_guard_counts_on_across_a_resume(tmp_path: Path):
    """Four rejects before the checkpoint and one after it are five in a row."""
    trainer, _ = build_trainer(tmp_path / "a", Poisoned(set(range(1, 9))), steps=4)
    trainer.fit()
    again, _ = build_trainer(tmp_path / "b", Poisoned({1, 2}), steps=8)
    again.loop.guard.load_state_dict(copy.deepcopy(trainer.loop.guard.state_dict()))
    with pytest.raises(GuardStop):
        again.fit()
    assert again.state.step == 1


def test_accumulation_is_no_other_training(tmp_path: Path):
    """1 x 8 rows and 8 x 1 rows: equal within rounding, and the rounding has no direction."""
    runs = {}
    for name, micro_batches, size in (("one", 1, 8), ("eight", 8, 1)):
        trainer, _ = build_trainer(
            tmp_path / name, micro_batches=micro_batches, micro_batch_size=size, optimizer="adamw"
        )
        trainer.fit()
        runs[name] = ledger_of(tmp_path / name)
    losses = np.array([[float.fromhex(line["loss"]) for line in runs[name]] for name in ("one", "eight")])
    residual = losses[1] - losses[0]
    assert np.abs(residual).max() < 2e-5 * losses.mean()
    assert abs(residual.mean()) <= 3 * max(residual.std() / np.sqrt(len(residual)), 1e-7)
    for key in ("documents", "targets"):
        assert [line[key] for line in runs["one"]] == [line[key] for line in runs["eight"]]


def test_the_divisor_is_the_targets_of_the_whole_step(tmp_path: Path):
    """A mean of the means of micro-batches would weigh the targets of a sparse one higher."""
    trainer, _ = build_trainer(tmp_path, steps=1, micro_batches=4, micro_batch_size=1)
    stream = BatchStream(Rows(), lambda samples: samples % 64, micro_batch_size=1, micro_batches=4)
    batches = stream.draw_step()
    assert len({batch.num_targets for batch in batches}) > 1
    with torch.no_grad():
        sums = [float(trainer.objective(trainer.model, batch).loss_sum) for batch in batches]
    result = trainer.train_step()
    assert result.num_targets == sum(batch.num_targets for batch in batches)
    assert result.loss == pytest.approx(sum(sums) / result.num_targets, rel=1e-5)


def test_masked_targets_teach_nothing(tmp_path: Path):
    """The loss is that of the shown targets alone, and a batch without any moves nothing."""
    trainer, _ = build_trainer(tmp_path, steps=1)
    batch = trainer.batches.draw_step()[0]
    assert batch.num_targets < batch.targets_BT.numel()
    with torch.no_grad():
        hidden_BTD = trainer.model(batch.tokens_BT, segments_BT=batch.segments_BT)
        logs_BTV = (hidden_BTD @ trainer.model.head_weight.T).log_softmax(-1)
        shown = batch.targets_BT != IGNORE
        wanted = -logs_BTV[shown].gather(1, batch.targets_BT[shown][:, None]).sum()
        assert float(trainer.objective(trainer.model, batch).loss_sum) == pytest.approx(float(wanted), rel=1e-5)
    masked = replace(batch, targets_BT=torch.full_like(batch.targets_BT, IGNORE), num_targets=0)
    output = trainer.objective(trainer.model, masked)
    output.total_sum.backward()
    assert float(output.loss_sum.detach()) == 0.0
    assert all(p.grad is None or not p.grad.any() for p in trainer.model.parameters())


def test_a_stop_request_is_heard_at_the_next_boundary(tmp_path: Path):
    trainer, seen = build_trainer(tmp_path)
    trainer.loop.stop_reason = lambda: "asked" if trainer.state.step >= 3 else ""
    assert trainer.fit() == "asked"
    assert (trainer.state.step, seen.stopped) == (3, ["asked"])
