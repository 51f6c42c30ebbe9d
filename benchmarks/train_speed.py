"""Tokens per second of `train base` against a plain Hugging Face loop of equal parameters, batch and context.

Four contestants take turns in one run, each in a process of its own, several rounds; the table shows medians and
ratios:

    hf-fp32    transformers' LlamaForCausalLM, float32, eager, fused AdamW
    hf-bf16    the same under bf16 autocast, compiled
    ours-fp32  this package's trainer in float32
    ours       this package's trainer as it chooses by itself (bf16 where the CPU has it)

    python benchmarks/train_speed.py [--rounds 3] [--steps 6] [--threads 2] [--json]

What is unfair about it: only the step is timed, without data preparation; the peer runs without z-loss and guard. On a
CPU without native bf16 the bf16 contestants are emulated, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

SHAPE = {
    "vocab_size": 8192,
    "dim": 256,
    "n_layers": 10,
    "n_heads": 4,
    "n_kv_heads": 1,
    "head_dim": 64,
    "hidden_dim": 704,
}
SEQ_LEN, MICRO_BATCH = 512, 8
CONTESTANTS = ("hf-fp32", "hf-bf16", "ours-fp32", "ours")
THRESHOLDS = {"hf-bf16": 1.4, "hf-fp32": 2.8}


def main() -> None:
    options = parse_options()
    if options.worker:
        print(json.dumps(run_contestant(options.worker, options.steps, options.threads)))
        return
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            rounds[name].append(call_worker(name, options))
            print(f"round {number + 1} {name}: {rounds[name][-1]['tokens_per_s']:,.0f} tokens/s", file=sys.stderr)
    show(rounds, options.json)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=CONTESTANTS)
    return parser.parse_args()


def call_worker(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One contestant in a fresh process, so that no allocator or cache is shared."""
    argv = [sys.executable, __file__, "--worker", name, "--steps", str(options.steps)]
    if options.threads:
        argv += ["--threads", str(options.threads)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_contestant(name: str, steps: int, threads: int | None) -> dict[str, Any]:
    """Median step of one contestant after two warm-up steps."""
    step, parameters, choice = build_peer(name, threads) if name.startswith("hf") else build_ours(name, threads)
    for _ in range(2):
        step()
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return {
        "tokens_per_s": SEQ_LEN * MICRO_BATCH / statistics.median(seconds),
        "parameters": parameters,
        "choice": choice,
    }


def build_peer(name: str, threads: int | None):
    """The loop that a tutorial would write: forward with labels, backward, clip, fused AdamW."""
    import contextlib

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from picochat.distributed.probe import set_threads

    set_threads(threads)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=SHAPE["vocab_size"],
        hidden_size=SHAPE["dim"],
        intermediate_size=SHAPE["hidden_dim"],
        num_hidden_layers=SHAPE["n_layers"],
        num_attention_heads=SHAPE["n_heads"],
        num_key_value_heads=SHAPE["n_kv_heads"],
        head_dim=SHAPE["head_dim"],
        max_position_embeddings=SEQ_LEN,
        tie_word_embeddings=True,
        use_cache=False,
    )
    model = LlamaForCausalLM(config)
    bf16 = name == "hf-bf16"
    forward = torch.compile(model) if bf16 else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(0, SHAPE["vocab_size"], (MICRO_BATCH, SEQ_LEN))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = forward(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, sum(p.numel() for p in model.parameters()), "bf16, compiled" if bf16 else "fp32, eager"


def build_ours(name: str, threads: int | None):
    """The trainer of the base stage on random documents; `ours` is the precision and compile mode it chooses itself."""
    import tempfile
    from pathlib import Path

    import numpy as np
    import torch

    from picochat.data.batches import BatchStream
    from picochat.data.memory import TokenDocuments
    from picochat.data.order import SampleOrder
    from picochat.data.rows import WindowRows
    from picochat.model.config import ModelConfig
    from picochat.model.init import init_weights
    from picochat.model.sizing import count_parameters, flops_per_token
    from picochat.model.transformer import Transformer
    from picochat.training.config import LoopConfig, MachineConfig
    from picochat.training.language_modeling import LanguageModeling
    from picochat.training.ledger import Ledger
    from picochat.training.machine import build_machine, choose_compile, compile_blocks
    from picochat.training.optim import OptimizerSet
    from picochat.training.recipe import resolve_recipe
    from picochat.training.state import TrainState
    from picochat.training.trainer import LoopParts, Trainer

    precision = "fp32" if name == "ours-fp32" else "auto"
    machine = build_machine(MachineConfig(device="cpu", precision=precision, threads=threads))
    config = ModelConfig(max_seq_len=SEQ_LEN, residual="parallel", **SHAPE)
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    loop = LoopConfig(
        tokens=10**8, seq_len=SEQ_LEN, micro_batch_size=MICRO_BATCH, tokens_per_step=SEQ_LEN * MICRO_BATCH
    )
    loop = loop.model_copy(update={"document_mask": False})
    recipe = resolve_recipe(loop, count_parameters(config).total)
    stream = np.random.default_rng(0).integers(0, SHAPE["vocab_size"], SEQ_LEN * MICRO_BATCH * 64 + 1, dtype=np.uint16)
    rows = WindowRows(
        TokenDocuments(stream, np.arange(0, len(stream), 1024), np.arange(len(stream) // 1024 + 1)), SEQ_LEN
    )
    batches = BatchStream(
        rows, SampleOrder(len(rows), 1).samples_at, micro_batch_size=MICRO_BATCH, micro_batches=1, document_mask=False
    )
    ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.jsonl")
    parts = LoopParts(recipe.steps, lambda step: 1.0, recipe.optim.lr, 1.0, ledger, autocast=machine.autocast)
    objective = LanguageModeling(loop.z_loss, loop.loss_chunk_tokens)
    trainer = Trainer(
        model, objective, OptimizerSet(model, recipe.optim), batches, machine.world, parts, [], TrainState()
    )
    flops = recipe.steps * recipe.tokens_per_step * flops_per_token(config, SEQ_LEN)
    compiled, _ = choose_compile("auto", machine, flops)
    if compiled:
        compile_blocks(model)
    choice = f"{machine.precision}, {'blocks compiled' if compiled else 'eager'}"
    return trainer.train_step, count_parameters(config).total, choice


def show(rounds: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    """Medians over the rounds, and the ratio to each peer round by round."""
    from picochat.artifacts.code_record import cpu_features

    medians = {name: statistics.median(row["tokens_per_s"] for row in rows) for name, rows in rounds.items()}
    ratios = {
        f"{ours} / {peer}": statistics.median(
            a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(rounds[ours], rounds[peer], strict=True)
        )
        for ours in ("ours", "ours-fp32")
        for peer in ("hf-bf16", "hf-fp32")
    }
    features = cpu_features()
    native = bool({"amx_bf16", "avx512_bf16"} & set(features))
    if as_json:
        print(json.dumps({"tokens_per_s": medians, "ratios": ratios, "cpu_features": features, "native_bf16": native}))
        return
    print(f"CPU features: {', '.join(features) or 'unknown'}; native bf16: {'yes' if native else 'no'}")
    for name, rows in rounds.items():
        millions = rows[0]["parameters"] / 1e6
        print(f"{name:10} {medians[name]:>9,.0f} tokens/s   {millions:.2f} M parameters   {rows[0]['choice']}")
    for name, ratio in ratios.items():
        print(f"{name:22} {ratio:.2f} x")
    if native:
        for peer, threshold in THRESHOLDS.items():
            ratio = ratios[f"ours / {peer}"]
            word = "reached" if ratio >= threshold else "MISSED"
            print(f"threshold ours / {peer} >= {threshold}: {word} at {ratio:.2f}")
    else:
        print("the thresholds (1.4 x hf-bf16, 2.8 x hf-fp32) are for a CPU with AMX: NOT RUN here")


if __name__ == "__main__":
    main()
