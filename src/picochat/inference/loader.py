"""A model from a checkpoint folder, exactly as it was saved: nothing here falls back to another copy."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.reader import load_checkpoint
from picochat.inference.scoring import Autocast
from picochat.model.config import ModelConfig
from picochat.model.rope import build_rope_tables
from picochat.model.transformer import Transformer

Precision = Literal["fp32", "bf16", "fp16"]
AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    """Float32 weights on a device in eval mode; `autocast` gives the context in which they compute."""

    model: Transformer
    manifest: CheckpointManifest
    weights_digest: str
    """Proved by the reader from the tensors: what gate, serve and export speak about."""
    autocast: Autocast


def load_model(
    checkpoint_dir: Path,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    run_digest: str | None = None,
) -> LoadedModel:
    """Reads and proves a checkpoint folder, and builds its model. With `run_digest` it must be of that run.

    Raises `checkpoint.*` for a folder that is missing, changed or not the model that its configuration describes.
    """
    described = load_checkpoint(checkpoint_dir, run_digest=run_digest, parts=())
    config = ModelConfig.from_dict(described.model_config, f"model configuration of {checkpoint_dir}")
    with torch.device("meta"):
        model = Transformer(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    loaded = load_checkpoint(checkpoint_dir, expected_shapes=shapes, run_digest=run_digest, parts={"weights"})
    model.load_state_dict(loaded.weights or {}, assign=True)
    model.cos_Sh, model.sin_Sh = build_rope_tables(config.head_dim, config.max_seq_len, config.rope_theta)
    model.to(device=device, dtype=torch.float32).eval().requires_grad_(False)
    return LoadedModel(model, loaded.manifest, loaded.manifest.weights_digest, build_autocast(device, precision))


def build_autocast(device: torch.device | str, precision: Precision) -> Autocast:
    """The context factory of a precision: nothing for fp32, torch's autocast for the others."""
    if precision == "fp32":
        return nullcontext
    return partial(torch.autocast, torch.device(device).type, dtype=AUTOCAST_DTYPES[precision])
