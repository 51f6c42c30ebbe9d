"""Causal grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245).

Suffixes: B batch, T new tokens, S keys, D dim, H heads, K kv heads, h head_dim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from picochat.model.attention_cpu import attend_causal_blocks
from picochat.model.config import ModelConfig
from picochat.model.kv_cache import KVCache
from picochat.model.layers import RMSNorm
from picochat.model.rope import rotate

MATMUL_MAX_KEYS = 128


class Geometry(NamedTuple):
    """What every block of one forward pass shares: rotary tables, and who sees whom."""

    cos: Tensor
    sin: Tensor
    mask_BTS: Tensor | None


def build_mask(
    batch_size: int,
    n_new: int,
    n_past: int,
    device: torch.device,
    segments_BT: Tensor | None = None,
    key_mask_BS: Tensor | None = None,
) -> Tensor:
    """Additive float32 mask (B or 1, T, S), 0 where a token may look and -inf elsewhere, with S = n_past + n_new.

    A token sees itself whatever the other masks say, so that a padded row has a softmax without NaN.
    """
    queries_T1 = torch.arange(n_past, n_past + n_new, device=device).unsqueeze(1)
    keys_S = torch.arange(n_past + n_new, device=device)
    allowed = (keys_S <= queries_T1).unsqueeze(0)
    if segments_BT is not None:
        allowed = allowed & (segments_BT.unsqueeze(2) == segments_BT.unsqueeze(1))
    if key_mask_BS is not None:
        allowed = allowed & key_mask_BS.bool().unsqueeze(1) | (keys_S == queries_T1)
    return torch.zeros(allowed.shape, device=device).masked_fill_(~allowed, float("-inf"))


def attend_matmul(q_BHTh: Tensor, k_BKSh: Tensor, v_BKSh: Tensor, mask_BTS: Tensor | None) -> Tensor:
    """Attention by two plain matrix products: the faster one on a CPU for short rows. Returns (B, H, T, h).

    The queries of a group are stacked along time, so keys and values are never repeated.
    """
    B, H, T, h = q_BHTh.shape
    K, S = k_BKSh.shape[1:3]
    q_BKGh = q_BHTh.reshape(B, K, H // K * T, h)
    scores = torch.matmul(q_BKGh, k_BKSh.transpose(2, 3)) * h**-0.5
    if mask_BTS is not None:
        scores = (scores.view(B, H, T, S) + mask_BTS.unsqueeze(1)).view(B, K, H // K * T, S)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(v_BKSh.dtype)
    return torch.matmul(weights, v_BKSh).view(B, H, T, h)


def attend_fused(q_BHTh: Tensor, k_BKSh: Tensor, v_BKSh: Tensor, mask_BTS: Tensor | None) -> Tensor:
    """Attention by torch's fused kernel; without a mask it is causal. Returns (B, H, T, h)."""
    mask = None if mask_BTS is None else mask_BTS.unsqueeze(1).to(q_BHTh.dtype)
    # Never a comparison of lengths: compiled for any length that is symbolic, and the kernel wants a plain bool.
    causal = mask_BTS is None
    return F.scaled_dot_product_attention(q_BHTh, k_BKSh, v_BKSh, attn_mask=mask, is_causal=causal, enable_gqa=True)


def attend_trained(q_BHTh: Tensor, k_BKSh: Tensor, v_BKSh: Tensor, mask_BTS: Tensor | None) -> Tensor:
    """`attend_causal_blocks` behind the signature of the other two paths; only for whole rows without a mask."""
    # Under autocast a norm leaves queries and keys in float32; values come straight from a product, in its dtype.
    return attend_causal_blocks(q_BHTh.to(v_BKSh.dtype), k_BKSh.to(v_BKSh.dtype), v_BKSh)


def choose_attention(q_BHTh: Tensor, k_BKSh: Tensor, mask_BTS: Tensor | None) -> Callable[..., Tensor]:
    """The fastest of the three paths for one call: by length, device, and whether a backward will follow."""
    n_new, n_keys = q_BHTh.shape[2], k_BKSh.shape[2]
    if n_new == 1 or (mask_BTS is not None and n_keys <= MATMUL_MAX_KEYS):
        return attend_matmul
    if mask_BTS is None and q_BHTh.device.type == "cpu" and q_BHTh.requires_grad:
        return attend_trained
    return attend_fused


class Attention(nn.Module):
    """Projections, optional norm of every query and key head, rotary positions, attention, output projection."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        self.q = nn.Linear(config.dim, config.n_heads * config.head_dim, bias=False)
        self.k = nn.Linear(config.dim, config.n_kv_heads * config.head_dim, bias=False)
        self.v = nn.Linear(config.dim, config.n_kv_heads * config.head_dim, bias=False)
        self.o = nn.Linear(config.n_heads * config.head_dim, config.dim, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(self, x_BTD: Tensor, geometry: Geometry, cache: KVCache | None = None) -> Tensor:
        heads = (*x_BTD.shape[:2], -1, self.head_dim)
        q_BTHh = rotate(self.q_norm(self.q(x_BTD).view(heads)), geometry.cos, geometry.sin)
        k_BTKh = rotate(self.k_norm(self.k(x_BTD).view(heads)), geometry.cos, geometry.sin)
        q, k, v = q_BTHh.transpose(1, 2), k_BTKh.transpose(1, 2), self.v(x_BTD).view(heads).transpose(1, 2)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        attend = choose_attention(q, k, geometry.mask_BTS)
        return self.o(attend(q, k, v, geometry.mask_BTS).transpose(1, 2).flatten(2))
