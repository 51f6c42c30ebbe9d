"""Blocks that are compiled train what eager ones train."""

import pytest
import torch
from tests.gpu.trainings import SMALL, largest_ratio, open_machine, train

from picochat.distributed.env import cxx_compiler

TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2}
"""Of float32: sums in another order, multiplied by eight steps of AdamW. Of bf16: fused blocks round less often."""


@pytest.fixture(autouse=True)
def fresh_compiler(device):
    if device == "cuda":
        pytest.importorskip("triton", reason="NOT RUN: blocks are compiled with triton")
    elif cxx_compiler() is None:
        pytest.skip("NOT RUN: no C++ compiler")
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("checkpoint_blocks", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_blocks_equal_eager_ones_over_8_steps(device, figure, precision, checkpoint_blocks):
    machine = open_machine(device, precision)
    ours, theirs = (train(machine, SMALL, compiled=on, checkpoint_blocks=checkpoint_blocks) for on in (True, False))
    worst = largest_ratio(ours, theirs)
    figure("largest |loss, compiled / eager - 1| of 8 steps", f"{worst:.1e}, {theirs[0]:.3f} to {theirs[-1]:.3f}")
    assert len(ours) == 8 and worst < TOLERANCE[precision]
