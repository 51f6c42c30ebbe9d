"""The peak memory that a plan foretells, against the one that the allocator of a real CPU training gives out.

For three sizes, each with and without recomputed blocks, in bf16 and float32:

    formula     model.step_memory, what `picochat plan` shows
    counted     the same step on fake tensors (training.memory)
    measured    two real steps of the trainer on the CPU; the peak of all bytes that torch's allocator has given out and
                not got back, from the profiler's memory events. Not the resident memory of the process.

    python benchmarks/plan_memory.py [--json]

Bar: the formula and the count are each within 10 % of what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from picochat.distributed.strategy import Single
from picochat.distributed.world import SoloWorld
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters
from picochat.model.step_memory import SHORT_ROW_TOKENS, StepShape, step_memory
from picochat.training.config import LoopConfig
from picochat.training.memory import MemoryRequest, count_peak
from picochat.training.rehearsal import Setting, build_rehearsal

BAR_FRAC = 0.10
SHAPE_KEYS = ("vocab_size", "dim", "n_layers", "n_heads", "n_kv_heads", "max_seq_len")
SIZES = {
    "0.8 M, rows of 128": ((512, 128, 4, 2, 1, 128), 32),
    "11 M, rows of 512": ((8192, 320, 8, 5, 1, 512), 8),
    "36 M, rows of 1,024": ((16384, 512, 10, 8, 2, 1024), 2),
}


def measure_peak(request: MemoryRequest) -> int:
    """Peak bytes of the allocator from before the model is built to the end of its second step."""
    autocast = partial(torch.autocast, "cpu", dtype=torch.bfloat16) if request.precision == "bf16" else nullcontext
    setting = Setting(SoloWorld(), request.micro_batch_size, request.micro_batches, Single(), autocast)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        trainer = build_rehearsal(request.model, request.loop, setting)
        for _ in range(2):
            trainer.train_step()
    events = watched.profiler.kineto_results.events()  # pyright: ignore[reportOptionalMemberAccess]
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    alive = peak = 0
    for _, change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def compare(model: ModelConfig, rows: int, *, precision: str, recomputed: bool, micro_batches: int = 1) -> dict:
    """All three ways to one number, in bytes."""
    loop = LoopConfig(
        tokens=10**6,
        seq_len=model.max_seq_len,
        micro_batch_size=rows,
        tokens_per_step=rows * micro_batches * model.max_seq_len,
        document_mask=False,
        checkpoint_blocks=recomputed,
    )
    request = MemoryRequest.from_dict(
        {
            "model": model.as_dict(),
            "loop": loop.as_dict(),
            "precision": precision,
            "micro_batch_size": rows,
            "micro_batches": micro_batches,
        }
    )
    shape = StepShape(
        rows,
        loop.seq_len,
        request.precision,
        masked=loop.seq_len <= SHORT_ROW_TOKENS,
        chunk_tokens=loop.loss_chunk_tokens,
        checkpoint_blocks=recomputed,
        gradients_held=micro_batches > 1,
        accumulates=micro_batches > 1,
        on_cpu=True,
    )
    found = step_memory(model, shape)
    return {
        "parameters": count_parameters(model).total,
        "phase": found.phase,
        "formula_bytes": found.total,
        "counted_bytes": count_peak(request),
        "measured_bytes": measure_peak(request),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    rows: list[dict[str, Any]] = []
    for name, (shape, batch) in SIZES.items():
        for precision in ("bf16", "fp32"):
            for recomputed in (False, True):
                found = compare(
                    ModelConfig(**dict(zip(SHAPE_KEYS, shape, strict=True))),
                    batch,
                    precision=precision,
                    recomputed=recomputed,
                )
                rows.append({"size": name, "precision": precision, "recomputed": recomputed} | found)
                if not as_json:
                    show(rows[-1])
    missed = [row for row in rows if max(apart(row, "formula_bytes"), apart(row, "counted_bytes")) > BAR_FRAC]
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"bar {BAR_FRAC:.0%}: {'reached' if not missed else f'MISSED by {len(missed)} of {len(rows)}'}")
    sys.exit(1 if missed else 0)


def apart(row: dict[str, Any], key: str) -> float:
    """Distance from what was measured, as a share of it."""
    return abs(row[key] / row["measured_bytes"] - 1)


def show(row: dict[str, Any]) -> None:
    mib = {key: row[key] / 2**20 for key in ("formula_bytes", "counted_bytes", "measured_bytes")}
    print(
        f"{row['size']:20} {row['precision']} {'recomputed' if row['recomputed'] else 'kept':10} "
        f"measured {mib['measured_bytes']:7.1f} MiB   formula {mib['formula_bytes']:7.1f} "
        f"({row['formula_bytes'] / row['measured_bytes'] - 1:+.1%})   counted {mib['counted_bytes']:7.1f} "
        f"({row['counted_bytes'] / row['measured_bytes'] - 1:+.1%})   {row['phase']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
