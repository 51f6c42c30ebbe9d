"""Time of a step on two ranks against one process of as many threads, and the cost of comparing the replicas.

Four contestants take turns in one run, each started anew, several rounds; the table shows medians and ratios:

    one-fp32   one process with two threads, float32
    ddp-fp32   two ranks with one thread each, started by torchrun, DDP over gloo, float32
    one        the same in the precision that this machine chooses (bf16 where the CPU has it)
    ddp        likewise

    python benchmarks/ddp_cost.py [--rounds 3] [--steps 7] [--json]

All train the same model of about 9 M parameters eagerly, on the same 4,096 tokens a step: one process as one
micro-batch of 8 rows, each rank as one of 4, which is how a stage cuts such a step. A step is all from one update to
the next: data, forward, backward, the gradients' way over gloo, the update, the ledger, and the question whether
anyone stops. Starting is not counted. After the steps the ranks compare weights and optimizer state bit by bit, as a
stage does every 500 steps and before each save; the share is that of one comparison in 500 such steps.

What is unfair about it: both ranks are on one host, so gradients cross memory and no network; this is the price of the
mechanism, not what several hosts gain. A step of 4,096 tokens is small: the recipe for this size takes 32,768, and
would send the same gradients an eighth as often, so the ratio is an upper end. One process gets larger matrix
products. Beside other work the ratio says nothing: the threads of one process wait for each other, spinning,
at every product, and then lose far more than two ranks, which meet once a step; the load before is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from train_speed import SEQ_LEN, SHAPE

RANKS = 2
ROWS_PER_STEP = 8
CONTESTANTS = ("one-fp32", "ddp-fp32", "one", "ddp")
WARM_STEPS = 2
COMPARISONS = 5
CHECK_EVERY = 500


def main() -> None:
    options = parse_options()
    if options.worker:
        found = run_contestant(options.worker, options.steps, options.folder)
        if found:
            print(json.dumps(found))
        return
    load = os.getloadavg()[0]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            rounds[name].append(call_worker(name, options.steps))
            print(f"round {number + 1} {name}: {rounds[name][-1]['step_s'] * 1e3:,.0f} ms a step", file=sys.stderr)
    show(rounds, load, options.json)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def call_worker(name: str, steps: int) -> dict[str, Any]:
    """One contestant in fresh processes, so that no allocator or cache is shared."""
    is_ddp = name.startswith("ddp")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={RANKS}"] if is_ddp else []
    with tempfile.TemporaryDirectory(prefix="ddp-cost-") as folder:
        done = subprocess.run(
            [sys.executable, *launcher, __file__, "--worker", name, "--steps", str(steps), "--folder", folder],
            env=os.environ | {"OMP_NUM_THREADS": "1" if is_ddp else str(RANKS)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_contestant(name: str, steps: int, folder: Path) -> dict[str, Any]:
    """Median step after the first ones, and of ranks the median comparison; empty on all ranks but the first."""
    from picochat.distributed.config import DistributedConfig
    from picochat.distributed.env import read_launch
    from picochat.distributed.ranks import LaunchedRanks, SoloRanks
    from picochat.training.config import MachineConfig
    from picochat.training.machine import build_machine

    launch = read_launch()
    ranks = LaunchedRanks(folder, launch, DistributedConfig()) if launch.launched else SoloRanks()
    precision = "fp32" if name.endswith("fp32") else "auto"
    threads = 1 if launch.launched else RANKS
    machine = build_machine(MachineConfig(device="cpu", precision=precision, threads=threads), ranks)
    trainer, stamps = build_trainer(machine, WARM_STEPS + steps, folder)
    trainer.fit()
    trainer.loop.ledger.close()
    compared = [time_comparison(trainer) for _ in range(COMPARISONS)] if launch.launched else []
    is_main, size = machine.world.is_main, machine.world.size
    ranks.close()
    if not is_main:
        return {}
    seconds = [after - before for before, after in zip(stamps[WARM_STEPS - 1 :], stamps[WARM_STEPS:], strict=False)]
    return {
        "step_s": statistics.median(seconds),
        "comparison_s": statistics.median(compared) if compared else None,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "choice": f"{machine.precision}, {size} x {threads} threads",
    }


def build_trainer(machine, steps: int, folder: Path):
    """The trainer of the base stage on random documents, and the times at which its steps end."""
    import numpy as np
    import torch

    from picochat.data.batches import BatchStream
    from picochat.data.memory import TokenDocuments
    from picochat.data.order import SampleOrder
    from picochat.data.rows import WindowRows
    from picochat.model.config import ModelConfig
    from picochat.model.init import init_weights
    from picochat.model.sizing import count_parameters
    from picochat.model.transformer import Transformer
    from picochat.training.config import LoopConfig
    from picochat.training.hooks import Hook
    from picochat.training.language_modeling import LanguageModeling
    from picochat.training.ledger import Ledger, SilentLedger
    from picochat.training.optim import OptimizerSet
    from picochat.training.recipe import resolve_recipe, split_step
    from picochat.training.state import TrainState
    from picochat.training.trainer import LoopParts, Trainer

    stamps: list[float] = []

    class Stamp(Hook):
        def on_step(self, trainer: Any, result: Any) -> None:
            stamps.append(time.perf_counter())

    world, strategy = machine.world, machine.build_strategy()
    config = ModelConfig(max_seq_len=SEQ_LEN, residual="parallel", **SHAPE)
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    strategy.shard(model, model.blocks)
    step_tokens = SEQ_LEN * ROWS_PER_STEP
    loop = LoopConfig(
        tokens=steps * step_tokens, seq_len=SEQ_LEN, micro_batch_size=ROWS_PER_STEP, tokens_per_step=step_tokens
    )
    recipe = resolve_recipe(loop, count_parameters(config).total)
    micro_batch_size, micro_batches = split_step(ROWS_PER_STEP, loop.micro_batch_size, world.size)
    stream = np.random.default_rng(0).integers(0, SHAPE["vocab_size"], step_tokens * 64 + 1, dtype=np.uint16)
    rows = WindowRows(
        TokenDocuments(stream, np.arange(0, len(stream), 1024), np.arange(len(stream) // 1024 + 1)), SEQ_LEN
    )
    batches = BatchStream(
        rows,
        SampleOrder(len(rows), 1).samples_at,
        micro_batch_size=micro_batch_size,
        micro_batches=micro_batches,
        rank=world.rank,
        world_size=world.size,
        document_mask=False,
    )
    ledger = Ledger(folder / "ledger.jsonl") if world.is_main else SilentLedger()
    parts = LoopParts(
        steps, lambda step: 1.0, recipe.optim.lr, loop.clip, ledger, strategy=strategy, autocast=machine.autocast
    )
    objective = LanguageModeling(loop.z_loss, loop.loss_chunk_tokens)
    optimizer = OptimizerSet(model, recipe.optim)
    return Trainer(model, objective, optimizer, batches, world, parts, [Stamp()], TrainState()), stamps


def time_comparison(trainer) -> float:
    """Seconds of one comparison of all tensors over all ranks, begun together."""
    trainer.world.barrier()
    started = time.perf_counter()
    trainer.require_equal_replicas()
    return time.perf_counter() - started


def show(rounds: dict[str, list[dict[str, Any]]], load: float, as_json: bool) -> None:
    """Medians over the rounds, and the ratios round by round."""
    from picochat.artifacts.code_record import cpu_features

    def median_ratio(above: str, below: str) -> float:
        return statistics.median(a["step_s"] / b["step_s"] for a, b in zip(rounds[above], rounds[below], strict=True))

    steps = {name: statistics.median(row["step_s"] for row in rows) for name, rows in rounds.items()}
    ratios = {f"{ddp} / {one}": median_ratio(ddp, one) for ddp, one in (("ddp-fp32", "one-fp32"), ("ddp", "one"))}
    comparisons = {
        name: {
            "ms": 1e3 * statistics.median(row["comparison_s"] for row in rounds[name]),
            f"share_every_{CHECK_EVERY}": statistics.median(
                row["comparison_s"] / row["step_s"] / CHECK_EVERY for row in rounds[name]
            ),
        }
        for name in ("ddp-fp32", "ddp")
    }
    if as_json:
        found = {"step_s": steps, "ratios": ratios, "comparisons": comparisons, "load_before": load}
        print(json.dumps(found | {"cpu_features": cpu_features()}))
        return
    print(f"CPU features: {', '.join(cpu_features()) or 'unknown'}; {os.cpu_count()} cores, load before {load:.1f}")
    tokens = SEQ_LEN * ROWS_PER_STEP
    for name, rows in rounds.items():
        millions = rows[0]["parameters"] / 1e6
        print(
            f"{name:10} {steps[name] * 1e3:>7,.0f} ms a step   {tokens / steps[name]:>7,.0f} tokens/s   "
            f"{millions:.2f} M parameters   {rows[0]['choice']}"
        )
    for name, ratio in ratios.items():
        print(f"time of a step, {name:22} {ratio:.2f} x")
    for name, found in comparisons.items():
        share = found[f"share_every_{CHECK_EVERY}"]
        print(
            f"comparing the replicas, {name:9} {found['ms']:.0f} ms, every {CHECK_EVERY} steps {share:.3%} of the time"
        )


if __name__ == "__main__":
    main()
