"""Keys and values of independent sequences, each in a slot of its own, in memory taken once.

A slot is never cleared: positions are absolute and a token sees only keys up to its own position, all of which were
written for the sequence that holds the slot now.

Suffixes: L layers, K kv heads, S positions, h head_dim.
"""

from __future__ import annotations

import torch

from picochat.model.config import ModelConfig
from picochat.model.kv_cache import KVCache
from picochat.model.sizing import kv_bytes_per_slot


class SlotCache:
    """Preallocated (L, slots, K, S, h) keys and values, S being the model's whole context."""

    def __init__(
        self,
        config: ModelConfig,
        slots: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.n_layers, slots, config.n_kv_heads, config.max_seq_len, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.slots = slots
        self.bytes_per_slot = kv_bytes_per_slot(config, dtype.itemsize)

    def window(self, slot: int, length: int) -> KVCache:
        """One slot as the cache of a batch of one, with `length` tokens filled; what it writes stays in the slot."""
        return KVCache.over(self.keys[:, slot : slot + 1], self.values[:, slot : slot + 1], length)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a slot over those of another."""
        for table in (self.keys, self.values):
            table[:, target, :, :length] = table[:, source, :, :length]
