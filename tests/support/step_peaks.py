"""The peak of one step by the formula and by the count on fake tensors, of the same small training."""

from __future__ import annotations

from typing import Any

from picochat.model.config import ModelConfig
from picochat.model.step_memory import StepShape, step_memory
from picochat.training.config import LoopConfig
from picochat.training.memory import MemoryRequest

SHAPE = {"vocab_size": 512, "dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "max_seq_len": 256}


def small_step(
    shape: dict[str, Any] = SHAPE, rows=4, micro_batches=1, precision="bf16", held=False, slices=1, **loop: Any
) -> tuple[MemoryRequest, int]:
    """(what is to be counted, bytes of the formula)"""
    model = ModelConfig(**shape)
    tokens = rows * micro_batches * slices * model.max_seq_len
    settings = {"document_mask": False, "loss_chunk_tokens": 256} | loop
    config = LoopConfig(
        tokens=10**6, seq_len=model.max_seq_len, micro_batch_size=rows, tokens_per_step=tokens, **settings
    )
    question = MemoryRequest(
        model=model,
        loop=config,
        precision=precision,
        micro_batch_size=rows,
        micro_batches=micro_batches,
        gradients_held=held,
        slices=slices,
    )
    step = StepShape(
        rows,
        model.max_seq_len,
        precision,
        masked=config.document_mask or model.max_seq_len <= 128,
        chunk_tokens=config.loss_chunk_tokens,
        checkpoint_blocks=config.checkpoint_blocks,
        gradients_held=held or micro_batches > 1,
        slices=slices,
        accumulates=micro_batches > 1,
        optimizer=config.optimizer,
        ema=config.ema_decay is not None,
        on_cpu=True,
    )
    return question, step_memory(model, step).total
