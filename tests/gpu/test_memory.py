"""Peak memory of training steps beside the estimate of `model.step_memory`, which plans show."""

import gc

import pytest
import torch
from tests.gpu.trainings import CHUNK_TOKENS, SHAPES, build, open_machine

from picochat.model.sizing import GIB, count_parameters, needed_bytes
from picochat.model.step_memory import StepShape, step_memory

MICRO_BATCH = 8
WAYS = {
    "eager": {},
    "recomputed": {"checkpoint_blocks": True},
    "compiled": {"compiled": True},
    "documents": {"document_mask": True},
}
ESTIMATED = ("eager", "recomputed", "compiled")
"""A document mask is not part of the estimate: what it costs depends on the attention kernel that takes it."""


def measure_peak(machine, config, **chosen) -> int:
    """Bytes that torch allocated at most in three steps, after two that are not counted."""
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    trainer, _ = build(machine.world, config, autocast=machine.autocast, micro_batch_size=MICRO_BATCH, **chosen)
    for _ in range(2):
        trainer.train_step()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        trainer.train_step()
    return torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SHAPES)
def test_peak_memory_is_about_the_estimate(gpu, figure, size, way):
    chosen, config = WAYS[way], SHAPES[size]
    if chosen.get("compiled"):
        pytest.importorskip("triton", reason="NOT RUN: blocks are compiled with triton")
    shape = StepShape(
        MICRO_BATCH,
        config.max_seq_len,
        masked=chosen.get("document_mask", False),
        chunk_tokens=CHUNK_TOKENS,
        checkpoint_blocks=chosen.get("checkpoint_blocks", False),
        compiled=chosen.get("compiled", False),
    )
    expected = step_memory(config, shape).total
    if torch.cuda.mem_get_info()[0] < 2 * needed_bytes(expected):
        pytest.skip(f"NOT RUN: needs {2 * needed_bytes(expected) / GIB:.0f} GiB of free GPU memory")
    found = measure_peak(open_machine(gpu, "bf16"), config, **chosen)
    static = 16 * count_parameters(config).total
    figure(
        f"{size}, {way}: measured / estimate",
        f"{found / expected:.2f} ({found / GIB:.2f} of {expected / GIB:.2f} GiB, {static / GIB:.2f} static)",
    )
    assert way not in ESTIMATED or 0.5 < found / expected < 2
