"""Tokens per second and model FLOPs utilisation of a shape of about 100 M parameters. Reported, not judged."""

import gc
import math
import statistics
import time

import pytest
import torch
from tests.gpu.trainings import SHAPES, SMALL, build, open_machine

from picochat.model.sizing import GIB, count_parameters, flops_per_token, needed_bytes, peak_bytes

PEAK_FLOPS_PER_S = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 with sums in float32, by a part of the name; the first that fits counts."""
WARM_STEPS, STEPS = 4, 10
WAYS = {
    "bf16, compiled": {"precision": "bf16", "compiled": True},
    "bf16, compiled, documents": {"precision": "bf16", "compiled": True, "document_mask": True},
    "bf16, eager": {"precision": "bf16"},
    "bf16, eager, recomputed": {"precision": "bf16", "checkpoint_blocks": True},
    "float32, eager": {"precision": "fp32"},
}


def peak_flops(device: str) -> float | None:
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak for part, peak in PEAK_FLOPS_PER_S.items() if part in name), None)


def fitting_rows(device: str, config, seq_len: int) -> int:
    """The largest micro-batch of 16, 8, ... rows that the free memory takes with room for float32."""
    if device == "cpu":
        return 2
    free = torch.cuda.mem_get_info()[0]
    for rows in (16, 8, 4, 2, 1):
        if 2 * needed_bytes(peak_bytes(config, rows, seq_len, checkpoint_blocks=False)) < free:
            return rows
    pytest.skip("NOT RUN: too little free GPU memory")


@pytest.mark.parametrize("way", WAYS)
def test_tokens_per_second(device, figure, way):
    chosen = dict(WAYS[way])
    if chosen.get("compiled") and device == "cuda":
        pytest.importorskip("triton", reason="NOT RUN: blocks are compiled with triton")
    config = SHAPES["110 M"] if device == "cuda" else SMALL
    gc.collect()
    torch.compiler.reset()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    machine = open_machine(device, chosen.pop("precision"))
    rows = fitting_rows(device, config, config.max_seq_len)
    trainer, _ = build(
        machine.world, config, autocast=machine.autocast, micro_batch_size=rows, micro_batches=4, **chosen
    )
    seconds, losses = [], []
    for _ in range(WARM_STEPS + STEPS):
        started = time.perf_counter()
        losses.append(trainer.train_step().loss)  # a number on the host: the step has ended
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    speed = trainer.batches.tokens_per_step / statistics.median(seconds[WARM_STEPS:])
    peak, flops = peak_flops(device), flops_per_token(config, config.max_seq_len)
    share = f"MFU {speed * flops / peak:.1%}" if peak else "MFU unknown: the GPU's peak is not in the table"
    memory = f", {torch.cuda.max_memory_allocated() / GIB:.1f} GiB" if device == "cuda" else ""
    parameters = count_parameters(config).total / 1e6
    figure(
        f"{parameters:.0f} M parameters, {way}",
        f"{speed:,.0f} tokens/s, {share} ({speed * flops / 1e12:.1f} TFLOP/s), {rows} rows of {config.max_seq_len}"
        f"{memory}",
    )
    assert math.isfinite(speed) and losses[-1] < losses[0]
