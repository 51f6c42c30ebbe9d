"""Keys and values of the tokens already read, in memory taken once.

Suffixes: B batch, K kv heads, T time, h head_dim.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from picochat.model.config import ModelConfig


class KVCache:
    """Preallocated (n_layers, B, K, capacity, h) keys and values; `length` tokens of every row are filled."""

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        capacity: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.n_layers, batch_size, config.n_kv_heads, capacity, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    @classmethod
    def over(cls, keys: Tensor, values: Tensor, length: int) -> Self:
        """A cache in memory that another one owns, (n_layers, B, K, capacity, h), with `length` tokens filled."""
        view = cls.__new__(cls)
        view.keys, view.values, view.capacity, view.length = keys, values, keys.shape[3], length
        return view

    def extend(self, layer: int, k_BKTh: Tensor, v_BKTh: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's new tokens after `length`; returns that layer's keys and values up to and with them.

        They come back in the dtype of the new ones, whatever the cache keeps them in.
        """
        end = self.length + k_BKTh.shape[2]
        if end > self.capacity:
            raise ValueError(f"a cache of {self.capacity} tokens cannot hold {end}")
        self.keys[layer, :, :, self.length : end] = k_BKTh
        self.values[layer, :, :, self.length : end] = v_BKTh
        keys, values = self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
        return keys.to(k_BKTh.dtype), values.to(v_BKTh.dtype)

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as filled, once every layer has written them."""
        self.length += n_tokens

    def keep_rows(self, rows: Tensor) -> None:
        """Drop every sequence but `rows` (int64 indices), for batches whose sequences end at different times."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
