"""How an engine is built. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CacheDtype = Literal["auto", "float32", "bfloat16"]
CPU_CHUNK_TOKENS, GPU_CHUNK_TOKENS = 64, 512


@dataclass(frozen=True)
class EngineSettings:
    """`slots` answers are made at once; jobs beyond them wait, `max_waiting_jobs` at most.

    `prefill_chunk_tokens` of a prompt are read between two tokens of the running answers (None: 64 on a CPU, 512 on a
    GPU). `cache_dtype` auto is the dtype in which the model computes.
    """

    slots: int = 8
    prefill_chunk_tokens: int | None = None
    max_waiting_jobs: int = 16
    cache_dtype: CacheDtype = "auto"

    def __post_init__(self) -> None:
        if self.slots < 1 or self.max_waiting_jobs < 0 or (self.prefill_chunk_tokens or 1) < 1:
            raise ValueError(f"{self} is outside of slots >= 1, max_waiting_jobs >= 0, prefill_chunk_tokens >= 1")
