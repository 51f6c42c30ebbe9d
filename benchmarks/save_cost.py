"""Seconds of a durable save against a plain `torch.save` of the same state, in turns in one run.

    python benchmarks/save_cost.py [--mib 256] [--rounds 5] [--dir FOLDER] [--json]

Ours hashes, syncs files and folders, swaps, and reads everything back before it returns; `torch.save` alone leaves the
bytes in the page cache. `torch.save + fsync` stands beside it, to show how much of the price is the disk's. The folder
must lie on a disk: on a memory file system fsync costs nothing and the ratio says nothing, so that is refused. Memory
is touched first: a virtual machine pays for the first use of each page, and the save that writes new files would pay
that price for all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint

TENSORS = 32
THRESHOLD = 2.0


def main() -> None:
    options = parse_options()
    folder = Path(tempfile.mkdtemp(prefix="save-cost-", dir=options.dir))
    try:
        require_disk(folder)
        touch_memory()
        seconds = measure(build_state(options.mib), folder, options.rounds)
    finally:
        shutil.rmtree(folder)
    show(seconds, options.mib, options.json)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=Path.cwd())
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def require_disk(folder: Path) -> None:
    found = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True)
    if found.stdout.strip() in ("tmpfs", "ramfs"):
        raise SystemExit(f"{folder} lies in memory ({found.stdout.strip()}): give --dir on a disk")


def touch_memory() -> None:
    """Uses three quarters of the free memory once and gives it back."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * 3 // 4
    page = os.sysconf("SC_PAGE_SIZE")
    bytearray(pages * page)[::page] = b"\1" * pages


def build_state(mib: int) -> dict[str, dict[str, torch.Tensor]]:
    """A third weights, two thirds moments, as AdamW has them."""
    rows = mib * 2**20 // (3 * TENSORS * 1024 * 4)
    weights = {f"blocks.{i}.weight": torch.randn(rows, 1024) for i in range(TENSORS)}
    moments = {
        f"adamw/{name}/{key}": torch.randn_like(tensor) for name, tensor in weights.items() for key in ("m", "v")
    }
    return {"weights": weights, "optimizer": moments}


def measure(state: dict[str, dict[str, torch.Tensor]], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds by contestant, a round after the other; one save of each kind before, which is not counted."""
    facts = CheckpointFacts("base", 1, 1, {"seed": 1}, "0" * 64)

    def ours() -> None:
        save_checkpoint(folder / "ours", facts=facts, model_config={}, train_state={}, **state)

    def plain() -> None:
        torch.save(state, folder / "plain.pt")

    def plain_synced() -> None:
        with open(folder / "synced.pt", "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())

    contestants: dict[str, Callable[[], None]] = {
        "torch.save": plain,
        "torch.save + fsync": plain_synced,
        "ours": ours,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, save in contestants.items():
            os.sync()
            started = time.perf_counter()
            save()
            if number:
                seconds[name].append(time.perf_counter() - started)
                print(f"round {number} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    return seconds


def show(seconds: dict[str, list[float]], mib: int, as_json: bool) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        f"ours / {peer}": statistics.median(a / b for a, b in zip(seconds["ours"], seconds[peer], strict=True))
        for peer in ("torch.save", "torch.save + fsync")
    }
    if as_json:
        print(json.dumps({"mib": mib, "seconds": medians, "ratios": ratios, "threshold": THRESHOLD}))
        return
    for name, median in medians.items():
        print(f"{name:20} {median:6.2f} s   {mib / median:7,.0f} MiB/s")
    for name, ratio in ratios.items():
        print(f"{name:28} {ratio:.2f} x")
    ratio = ratios["ours / torch.save"]
    word = "kept" if ratio <= THRESHOLD else "MISSED"
    print(f"threshold ours / torch.save <= {THRESHOLD}: {word} at {ratio:.2f}")


if __name__ == "__main__":
    main()
