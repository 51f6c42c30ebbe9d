"""bf16 trains what float32 trains: numbers stay finite, and losses within 2 %."""

import math

import pytest
import torch
from tests.gpu.trainings import SMALL, build, largest_ratio, open_machine, train

TOLERANCE = 0.02
STEPS = 16


@pytest.mark.parametrize("document_mask", [False, True], ids=["whole rows", "documents"])
def test_a_forward_in_bf16_is_within_2_percent(device, figure, document_mask):
    losses = []
    trainer, _ = build(open_machine(device, "fp32").world, SMALL, steps=STEPS, document_mask=document_mask)
    trainer.fit()
    batch = trainer.batches.draw_step()[0]
    for precision in ("fp32", "bf16"):
        with torch.no_grad(), open_machine(device, precision).autocast():
            output = trainer.objective(trainer.model, batch)
        losses.append(float(output.loss_sum) / output.num_targets)
    figure("loss after 16 steps, bf16 / float32 - 1", f"{losses[1] / losses[0] - 1:+.1e} at {losses[0]:.3f}")
    assert math.isfinite(losses[1]) and losses[0] < math.log(SMALL.vocab_size) - 1
    assert losses[1] == pytest.approx(losses[0], rel=TOLERANCE)


@pytest.mark.parametrize("document_mask", [False, True], ids=["whole rows", "documents"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_training_in_bf16_is_within_2_percent(device, figure, optimizer, document_mask):
    chosen = {"steps": STEPS, "optimizer": optimizer, "document_mask": document_mask}
    ours, theirs = (train(open_machine(device, precision), SMALL, **chosen) for precision in ("bf16", "fp32"))
    worst = largest_ratio(ours, theirs)
    figure("largest |loss, bf16 / float32 - 1| of 16 steps", f"{worst:.1e}, {theirs[0]:.3f} to {theirs[-1]:.3f}")
    assert all(map(math.isfinite, ours)) and theirs[-1] < theirs[0] - 1
    assert worst < TOLERANCE
