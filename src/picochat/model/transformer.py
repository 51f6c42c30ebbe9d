"""The decoder-only Transformer. Suffixes: B batch, T new tokens, S keys, D dim, V vocab, h head_dim."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from picochat.model.attention import MATMUL_MAX_KEYS, Attention, Geometry, build_mask
from picochat.model.config import ModelConfig
from picochat.model.kv_cache import KVCache
from picochat.model.layers import RMSNorm, SwiGLU
from picochat.model.rope import build_rope_tables


class ParallelBlock(nn.Module):
    """`x + attn(n) + mlp(n)` with one norm `n` of x (Wang and Komatsuzaki 2021, GPT-J)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.attn = Attention(config, layer)
        self.mlp = SwiGLU(config.dim, config.hidden_dim)

    def forward(self, x_BTD: Tensor, geometry: Geometry, cache: KVCache | None = None) -> Tensor:
        normed = self.norm(x_BTD)
        return x_BTD + self.attn(normed, geometry, cache) + self.mlp(normed)


class SequentialBlock(nn.Module):
    """Attention, then MLP, each with its own norm and residual: the block of Llama and Qwen3."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.dim, config.norm_eps)
        self.attn = Attention(config, layer)
        self.mlp_norm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = SwiGLU(config.dim, config.hidden_dim)

    def forward(self, x_BTD: Tensor, geometry: Geometry, cache: KVCache | None = None) -> Tensor:
        x_BTD = x_BTD + self.attn(self.attn_norm(x_BTD), geometry, cache)
        return x_BTD + self.mlp(self.mlp_norm(x_BTD))


class Transformer(nn.Module):
    """Tokens to final-normed hidden states; `logits` applies the (tied) head to them.

    Weights are whatever torch gave: call `init.init_weights` for the defined start. `checkpoint_blocks = True`
    recomputes every block in the backward instead of keeping its activations.
    """

    cos_Sh: Tensor
    sin_Sh: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_blocks = False
        block = ParallelBlock if config.residual == "parallel" else SequentialBlock
        self.embed = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList([block(config, layer) for layer in range(config.n_layers)])
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = None if config.tie_embeddings else nn.Linear(config.dim, config.vocab_size, bias=False)
        cos_Sh, sin_Sh = build_rope_tables(config.head_dim, config.max_seq_len, config.rope_theta)
        self.register_buffer("cos_Sh", cos_Sh, persistent=False)
        self.register_buffer("sin_Sh", sin_Sh, persistent=False)

    @property
    def head_weight(self) -> Tensor:
        """The (V, D) matrix of the LM head: the embedding's own where they are tied."""
        return self.embed.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary, (..., D) to (..., V)."""
        return F.linear(hidden, self.head_weight)

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        segments_BT: Tensor | None = None,
        positions_BT: Tensor | None = None,
        cache: KVCache | None = None,
        key_mask: Tensor | None = None,
    ) -> Tensor:
        """Final-normed hidden states (B, T, D) of int64 tokens (B, T).

        `segments_BT`: a token sees only earlier tokens of its own segment id (not together with a cache).
        `positions_BT`: rotary positions; by default they count on from the cache's length.
        `cache`: is read, extended and advanced by T. `key_mask` (B, S): False marks padding among all keys so far.
        """
        geometry = self.build_geometry(tokens_BT, segments_BT, positions_BT, cache, key_mask)
        x_BTD = self.embed(tokens_BT)
        for block in self.blocks:
            if self.checkpoint_blocks and torch.is_grad_enabled():
                x_BTD = checkpoint(block, x_BTD, geometry, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, geometry, cache)
        if cache is not None:
            cache.advance(tokens_BT.shape[1])
        return self.norm(x_BTD)

    def build_geometry(
        self,
        tokens_BT: Tensor,
        segments_BT: Tensor | None,
        positions_BT: Tensor | None,
        cache: KVCache | None,
        key_mask: Tensor | None,
    ) -> Geometry:
        """Rotary tables and mask, built once for all blocks. Raises ValueError past `max_seq_len`."""
        B, T = tokens_BT.shape
        n_past = 0 if cache is None else cache.length
        if cache is not None and segments_BT is not None:
            raise ValueError("segments_BT cannot be used with a cache")
        if positions_BT is None:
            if n_past + T > self.config.max_seq_len:
                raise ValueError(f"{n_past + T} tokens are more than max_seq_len {self.config.max_seq_len}")
            cos, sin = self.cos_Sh[n_past : n_past + T].unsqueeze(1), self.sin_Sh[n_past : n_past + T].unsqueeze(1)
        else:
            cos, sin = self.cos_Sh[positions_BT].unsqueeze(2), self.sin_Sh[positions_BT].unsqueeze(2)
        masked = segments_BT is not None or key_mask is not None or (n_past > 0 and T > 1)
        short_on_cpu = tokens_BT.device.type == "cpu" and 1 < T <= MATMUL_MAX_KEYS
        mask = build_mask(B, T, n_past, tokens_BT.device, segments_BT, key_mask) if masked or short_on_cpu else None
        return Geometry(cos, sin, mask)
