"""A tiny checkpoint with every part, and a way to edit one so that only the intended rule is broken."""

import random
from pathlib import Path
from typing import Any

import torch

from picochat.checkpoint.format import manifest_bytes
from picochat.checkpoint.rng import capture_rng
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import read_json

RUN = "a" * 64
SHAPES = {"embed.weight": (8, 4), "norm.weight": (4,), "proj.weight": (600, 4)}
FINGERPRINT = {"corpus_digest": "c" * 64, "optimizer": {"lr": 0.1}, "seed": 7, "world_size": 1}


def build_state(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def save_tiny(stage_dir: Path, step: int = 3, **options: Any):
    """Saves step `step`; the weights depend on it alone."""
    weights = build_state(step)
    values: dict[str, Any] = {
        "facts": CheckpointFacts("base", step, step * 100, FINGERPRINT, RUN),
        "weights": weights,
        "model_config": {"dim": 4, "vocab_size": 8},
        "train_state": {"schedule": {"warmup": 2}},
        "optimizer": {f"{name}.moment": tensor * 2 for name, tensor in weights.items()},
        "rng": capture_rng({"batches": torch.Generator().manual_seed(step), "shuffle": random.Random(step)}),
        "ema": {name: tensor / 2 for name, tensor in weights.items()},
    }
    return save_checkpoint(stage_dir, **(values | options))


def resign(folder: Path, **changes: Any) -> None:
    """Writes the manifest again over the files as they now are, with `changes`, and with a right digest of itself."""
    path = folder / "MANIFEST.json"
    facts = {k: v for k, v in read_json(path).items() if k not in {"format_version", "manifest_digest"}}
    present = [p for p in folder.iterdir() if p.name != path.name]
    facts["files"] = {p.name: {"bytes": p.stat().st_size, "sha256": sha256_file(p)} for p in present}
    path.write_bytes(manifest_bytes(facts | changes))
