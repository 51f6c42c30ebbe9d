"""Rotary positions in the rotate-half layout (Su et al. 2021, arXiv:2104.09864).

Suffixes: B batch, T time, S positions, H heads, h head_dim.
"""

from __future__ import annotations

import torch
from torch import Tensor


def build_rope_tables(head_dim: int, max_seq_len: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's angles, float32, each (max_seq_len, head_dim); both halves are equal."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    angles = torch.outer(torch.arange(max_seq_len, dtype=torch.float32), 1.0 / theta**exponent)
    angles_Sh = torch.cat((angles, angles), dim=-1)
    return angles_Sh.cos(), angles_Sh.sin()


def rotate(x_BTHh: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn feature i with feature i + h/2. `cos` and `sin` broadcast over heads, and are cast to x's dtype at use."""
    low, high = x_BTHh.chunk(2, dim=-1)
    turned = torch.cat((-high, low), dim=-1)
    return x_BTHh * cos.to(x_BTHh.dtype) + turned * sin.to(x_BTHh.dtype)
