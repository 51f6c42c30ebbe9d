"""Several GPUs over NCCL are one training: DDP equals one process, FSDP equals DDP. One rank shows that NCCL starts."""

from pathlib import Path
from typing import Any

import pytest
from tests.gpu.children import run_program

from picochat.distributed.env import cxx_compiler

LIMITS = {
    "ddp fp32": {"first": 1e-5, "gradients": 1e-3, "losses": 1e-4},
    "fsdp fp32": {"first": 1e-5, "gradients": 1e-3, "losses": 1e-4},
    "ddp bf16": {"first": 1e-5, "losses": 2e-2},
    "fsdp bf16": {"losses": 2e-2},
}
"""Of sums in another order, in units of a tensor's largest element: of the first step, where both start from equal
weights, and of four steps, between which AdamW enlarges what differs. FSDP in bf16 rounds more than autocast does, the
norms' weights and what enters a block, so there only losses are compared."""


def cell(**chosen: Any) -> dict[str, Any]:
    return {
        "strategy": "ddp",
        "precision": "fp32",
        "accumulation": 1,
        "optimizer": "adamw",
        "checkpoint_blocks": False,
        "compile": False,
    } | chosen


EAGER = [
    cell(strategy=strategy, **chosen)
    for strategy in ("ddp", "fsdp")
    for chosen in (
        {},
        {"accumulation": 4},
        {"checkpoint_blocks": True, "accumulation": 2},
        {"optimizer": "muon"},
        {"precision": "bf16", "accumulation": 2},
    )
]
COMPILED = [cell(strategy=strategy, compile=True, accumulation=2) for strategy in ("ddp", "fsdp")]


def describe(row: dict[str, Any]) -> str:
    words = [row["strategy"], row["precision"], row["optimizer"], f"{row['accumulation']} micro-batches"]
    return ", ".join(words + [name for name in ("checkpoint_blocks", "compile") if row[name]])


def require_equal(device: str, ranks: int, folder: Path, cells: list[dict[str, Any]], figure) -> None:
    """Runs the cells in one launch; every figure stands in the table before anything is asserted."""
    found = run_program("tests.gpu.nccl_cells", folder, {"device": device, "cells": cells}, ranks=ranks)
    wrong = {}
    for row, result in zip(cells, found, strict=True):
        seen = result | {"first": result["gradients"][0], "gradients": max(result["gradients"])}
        figures = [f"{name} {seen[name]:.1e}" for name in ("first", "gradients", "losses", "weights")]
        figure(f"{describe(row)}, {ranks} x {seen['backend']}", ", ".join(figures))
        limits = LIMITS[f"{row['strategy']} {row['precision']}"]
        names = [name for name, limit in limits.items() if not seen[name] <= limit]
        names += [name for name in ("documents", "targets") if seen[name] is not True]
        if names or seen["steps"] != 8 or not seen["device"].startswith(device):
            wrong[describe(row)] = names or seen
    assert wrong == {}


def test_ranks_are_one_process(device, ranks, figure, tmp_path):
    require_equal(device, ranks, tmp_path, EAGER, figure)


def test_ranks_are_one_process_with_compiled_blocks(device, ranks, figure, tmp_path):
    if device == "cuda":
        pytest.importorskip("triton", reason="NOT RUN: blocks are compiled with triton")
    elif cxx_compiler() is None:
        pytest.skip("NOT RUN: no C++ compiler")
    require_equal(device, ranks, tmp_path, COMPILED, figure)
