"""What the rungs of a ladder and their target must have in common beside text and tokenizer, by key."""

from __future__ import annotations

from typing import Any

from picochat.core.config import flatten
from picochat.pipeline.config import RunConfig

FREE_LOOP_KEYS = frozenset(
    {
        "tokens",
        "warmup_frac",
        "micro_batch_size",
        "loss_chunk_tokens",
        "checkpoint_blocks",
        "eval_every",
        "save_every",
        "keep_every",
        "sample_every",
        "log_every",
        "state_digest_every",
        "prefetch_steps",
    }
)
"""The length, and what decides how and when something is computed or written, not what."""
MODEL_KEYS = ("vocab_size", "max_seq_len", "rope_theta", "norm_eps", "residual", "qk_norm", "tie_embeddings")


def rules_of(config: RunConfig) -> dict[str, Any]:
    """Objective, recipe, rows, kind of model and precision; sizes and lengths are left out."""
    loop = {key: value for key, value in config.base.loop.as_dict().items() if key not in FREE_LOOP_KEYS}
    model = config.model.as_dict()
    rows = config.shards.as_dict() if config.base.data_mode != "memory" else {}
    return flatten(
        {
            "base": {"loop": loop, "data_mode": config.base.data_mode},
            "model": {key: model[key] for key in MODEL_KEYS},
            "machine": {"precision": config.machine.precision},
            **({"shards": rows} if rows else {}),
        }
    )


def differing_rules(ladder: dict[str, Any], config: RunConfig) -> list[dict[str, Any]]:
    """Keys in which a target was set differently from the ladder, with both values."""
    mine = rules_of(config)
    keys = sorted(ladder.keys() | mine.keys())
    return [
        {"key": key, "ladder": ladder.get(key), "target": mine.get(key)}
        for key in keys
        if ladder.get(key) != mine.get(key)
    ]
