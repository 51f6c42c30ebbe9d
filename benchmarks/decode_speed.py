"""Tokens per second of generation against Hugging Face's `generate` and llama.cpp, on the same random weights.

Contestants take turns in one run, each in a process of its own; the table shows medians over the rounds and ratios
round by round. About 31 M parameters, float32 weights and cache everywhere, greedy, prompts of 16 tokens, 128 new
tokens; the time of a round is from handing in all prompts to the last token, so prompts are part of it.

    ours, hf, llama     one prompt at a time
    ours-8, llama-8     eight prompts at once
    ours-bf16           one prompt, the weights in bfloat16 (a CPU with native bf16 alone); ours-8-bf16: eight

    python benchmarks/decode_speed.py [--rounds 5] [--threads 2] [--clock wall] [--json]

On a machine with other work `--clock cpu --threads 1` counts CPU seconds of the process in place of those on the wall.

What is unfair about it: llama.cpp is asked through its server in this process, which renders and parses a little JSON
for each request; ours runs on a thread and sends each token to a function.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from decode_peers import (
    NEW_TOKENS,
    SHAPE,
    SLOTS,
    Prompts,
    Timed,
    build_hf,
    build_llama,
    build_ours,
    build_prompts,
    run_engine,
)

CONTESTANTS = {"ours": 1, "hf": 1, "llama": 1, "ours-8": SLOTS, "llama-8": SLOTS, "ours-bf16": 1, "ours-8-bf16": SLOTS}
BARS = {("ours", "hf"): 1.5, ("ours", "llama"): 0.6, ("ours-8", "llama-8"): 1.0, ("ours-8", "ours"): 2.5}
REPEATS = 3
LONG_PROMPT = 512


def main() -> None:
    options = parse_options()
    if options.worker:
        print(json.dumps(run_contestant(options.worker, options.threads, options.clock)))
        return
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            rounds[name].append(call_worker(name, options))
            print(f"round {number + 1} {name}: {rounds[name][-1]['tokens_per_s']:,.0f} tokens/s", file=sys.stderr)
    show(rounds, options.json)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=CONTESTANTS)
    return parser.parse_args()


def call_worker(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One contestant in a fresh process, so that no thread pool or cache is shared."""
    argv = [sys.executable, __file__, "--worker", name, "--clock", options.clock]
    if options.threads:
        argv += ["--threads", str(options.threads)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_contestant(name: str, threads: int | None, clock: str) -> dict[str, Any]:
    """The best of some repeats after a warm-up, and for ours what else is worth knowing."""
    count, engine = CONTESTANTS[name], None
    if name.startswith("ours"):
        run, engine = build_ours(threads, precision="bf16" if name.endswith("bf16") else "fp32")
    else:
        run = build_hf(threads) if name == "hf" else build_llama(threads, count)
    run(build_prompts(count, 0))
    seconds = min(measure(run, build_prompts(count, seed), clock) for seed in range(1, REPEATS + 1))
    found = {"tokens_per_s": count * NEW_TOKENS / seconds}
    if engine is not None:
        prompts = build_prompts(count, 9, LONG_PROMPT)
        found["first_token_ms"] = 1000 * min(run_engine(engine, prompts, 1)[1] for _ in range(REPEATS))
        found["bytes_per_slot"] = engine.bytes_per_slot
        engine.close()
    return found


def measure(run: Timed, prompts: Prompts, clock: str) -> float:
    """Seconds on the wall, or of this process on all its threads."""
    before = time.process_time()
    wall = run(prompts)
    return wall if clock == "wall" else time.process_time() - before


def show(rounds: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    """Medians, and each ratio that has a bar."""
    from picochat.artifacts.code_record import cpu_features

    medians = {name: statistics.median(row["tokens_per_s"] for row in rows) for name, rows in rounds.items()}
    ratios = {
        f"{a} / {b}": statistics.median(
            x["tokens_per_s"] / y["tokens_per_s"] for x, y in zip(rounds[a], rounds[b], strict=True)
        )
        for a, b in BARS
    }
    first = {
        name: statistics.median(row["first_token_ms"] for row in rows)
        for name, rows in rounds.items()
        if "first_token_ms" in rows[0]
    }
    facts = {
        "tokens_per_s": medians,
        "ratios": ratios,
        "first_token_ms": first,
        "bytes_per_slot": rounds["ours"][0]["bytes_per_slot"],
        "cpu": cpu_features(),
    }
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    print(f"{SHAPE['dim']} wide, {SHAPE['n_layers']} layers, CPU: {', '.join(facts['cpu']) or 'no matrix units'}")
    for name, value in medians.items():
        late = f"   first token after {LONG_PROMPT} of a prompt {first[name]:,.0f} ms" if name in first else ""
        print(f"{name:<10} {value:8,.0f} tokens/s{late}")
    for (a, b), bar in BARS.items():
        ratio = ratios[f"{a} / {b}"]
        print(f"{a} / {b}: {ratio:.2f} (bar {bar}) {'held' if ratio >= bar else 'MISSED'}")
    print(f"a slot takes {facts['bytes_per_slot'] / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
