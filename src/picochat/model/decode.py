"""One token for each of many sequences at once: the step that generation repeats, without what training needs.

    tokens, positions -> embed -> blocks over the used part of a SlotCache -> logits

The mathematics is `Transformer.forward`'s, in the same order of operations but for what is joined: projections of one
input are one matrix, the queries of a group are rows of one product, a residual is added by the product before it. So
values differ from the plain path in rounding alone (tests hold both within 1e-4).

Suffixes: B rows (slots 0 to B-1), S positions, D dim, H heads, K kv heads, N = H + K, G = H / K, h head_dim, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from picochat.model.attention import Attention
from picochat.model.config import ModelConfig
from picochat.model.layers import RMSNorm, SwiGLU
from picochat.model.slot_cache import SlotCache
from picochat.model.transformer import ParallelBlock, SequentialBlock, Transformer


class DecodeLayer(NamedTuple):
    """Weights of one block as the step reads them. `mlp_in` is None where it is part of `attn_in` (parallel)."""

    attn_norm_D: Tensor
    mlp_norm_D: Tensor | None
    attn_in: Tensor
    """Rows of q, k and v; of gate and up as well in a parallel block."""
    mlp_in: Tensor | None
    qk_norm_Nh: Tensor | None
    o: Tensor
    down: Tensor


class StepGeometry(NamedTuple):
    """What every block of one step shares."""

    cos_B1h: Tensor
    sin_B1h: Tensor
    """Signed for `rotate_swapped`."""
    places: Tensor
    """Where each row's new keys go, (B*K,), among all (slot, kv head, position) of a layer."""
    mask_B11S: Tensor | None
    n_rows: int
    n_keys: int


class SlotDecoder:
    """The decode step of a model over a cache's slots.

    In float32 the model's own matrices become slices of the joined ones, with the values that they had, so nothing is
    stored twice; another `dtype` is a copy.
    """

    def __init__(self, model: Transformer, cache: SlotCache, dtype: torch.dtype = torch.float32) -> None:
        self.config: ModelConfig = model.config
        self.cache, self.dtype = cache, dtype
        self.embed_VD = model.embed.weight.detach().to(dtype)
        self.head_VD = model.head_weight.detach().to(dtype)
        self.norm_D = model.norm.weight.detach().to(dtype)
        self.layers = [_read_block(block, self.config, dtype) for block in model.blocks]
        self.cos_Sh = model.cos_Sh.to(dtype)
        half = self.config.head_dim // 2
        self.sin_Sh = torch.cat((-model.sin_Sh[:, :half], model.sin_Sh[:, half:]), dim=1).to(dtype)
        self._keys_S = torch.arange(self.config.max_seq_len, device=self.cos_Sh.device)

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Scores (B, V) after one more token in each of the first B slots, whose keys and values are written.

        `positions` count the tokens that the slot already holds.
        """
        geometry = self.build_geometry(positions)
        x_BD = self.embed_VD[torch.tensor(tokens, device=self.embed_VD.device)]
        for layer, weights in enumerate(self.layers):
            x_BD = self._block(layer, weights, x_BD, geometry)
        return F.linear(self._norm(x_BD, self.norm_D), self.head_VD)

    def build_geometry(self, positions: Sequence[int]) -> StepGeometry:
        """Rotary tables, places and mask of a step. Rows of equal length need no mask."""
        positions_B = torch.tensor(positions, device=self._keys_S.device)
        B, n_keys, K = len(positions), max(positions) + 1, self.config.n_kv_heads
        heads_BK = torch.arange(B * K, device=positions_B.device).view(B, K)
        places = (heads_BK * self.config.max_seq_len + positions_B.unsqueeze(1)).flatten()
        mask = None
        if min(positions) + 1 < n_keys:
            hidden_BS = self._keys_S[:n_keys] > positions_B.unsqueeze(1)
            mask_BS = torch.zeros(hidden_BS.shape, dtype=self.dtype, device=hidden_BS.device)
            mask = mask_BS.masked_fill_(hidden_BS, float("-inf")).view(B, 1, 1, n_keys)
        cos_B1h, sin_B1h = self.cos_Sh[positions_B].unsqueeze(1), self.sin_Sh[positions_B].unsqueeze(1)
        return StepGeometry(cos_B1h, sin_B1h, places, mask, B, n_keys)

    def _block(self, layer: int, w: DecodeLayer, x_BD: Tensor, geometry: StepGeometry) -> Tensor:
        inner = F.linear(self._norm(x_BD, w.attn_norm_D), w.attn_in)
        mixed = self._attend(layer, w, inner, geometry)
        x_BD = torch.addmm(x_BD, mixed, w.o.t())
        if w.mlp_in is not None and w.mlp_norm_D is not None:
            gate_up = F.linear(self._norm(x_BD, w.mlp_norm_D), w.mlp_in)
        else:
            gate_up = inner[:, inner.shape[1] - 2 * self.config.hidden_dim :]
        gate, up = gate_up.chunk(2, dim=1)
        return torch.addmm(x_BD, F.silu(gate).mul_(up), w.down.t())

    def _attend(self, layer: int, w: DecodeLayer, inner: Tensor, geometry: StepGeometry) -> Tensor:
        """Attention of one new token a row (B, H*h), with its key and value written first."""
        c, B = self.config, geometry.n_rows
        H, K, h = c.n_heads, c.n_kv_heads, c.head_dim
        qk_BNh = inner[:, : (H + K) * h].view(B, H + K, h)
        if w.qk_norm_Nh is not None:
            qk_BNh = self._norm(qk_BNh, w.qk_norm_Nh)
        qk_BNh = rotate_swapped(qk_BNh, geometry.cos_B1h, geometry.sin_B1h)
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        v_BKh = inner[:, (H + K) * h : (H + 2 * K) * h]
        keys.view(-1, h).index_copy_(0, geometry.places, qk_BNh[:, H:].reshape(B * K, h).to(keys.dtype))
        values.view(-1, h).index_copy_(0, geometry.places, v_BKh.reshape(B * K, h).to(values.dtype))
        q_BKGh = qk_BNh[:, :H].reshape(B, K, H // K, h)
        used = (slice(0, B), slice(None), slice(0, geometry.n_keys))
        mixed = F.scaled_dot_product_attention(
            q_BKGh, keys[used].to(self.dtype), values[used].to(self.dtype), attn_mask=geometry.mask_B11S
        )
        return mixed.reshape(B, H * h)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm as `layers.RMSNorm` computes it: float32 inside, the input's dtype, then the weight."""
        return F.rms_norm(x.float(), x.shape[-1:], None, self.config.norm_eps).to(x.dtype).mul_(weight)


def rotate_swapped(x_BNh: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`rope.rotate` with the sign of the turned half put into `sin`: its first half is negated."""
    swapped = torch.roll(x_BNh, x_BNh.shape[-1] // 2, -1)
    return torch.addcmul(x_BNh * cos, swapped, sin)


def _read_block(block: nn.Module, config: ModelConfig, dtype: torch.dtype) -> DecodeLayer:
    parallel = isinstance(block, ParallelBlock)
    attn, mlp = cast(Attention, block.attn), cast(SwiGLU, block.mlp)
    norm = cast(RMSNorm, block.norm if parallel else cast(SequentialBlock, block).attn_norm)
    mlp_norm = None if parallel else cast(SequentialBlock, block).mlp_norm.weight.detach().to(dtype)
    projections, gates = [attn.q, attn.k, attn.v], [mlp.gate, mlp.up]
    qk_norm = None
    if isinstance(attn.q_norm, RMSNorm) and isinstance(attn.k_norm, RMSNorm):
        q_Hh = attn.q_norm.weight.detach().expand(config.n_heads, -1)
        qk_norm = torch.cat((q_Hh, attn.k_norm.weight.detach().expand(config.n_kv_heads, -1))).to(dtype)
    return DecodeLayer(
        attn_norm_D=norm.weight.detach().to(dtype),
        mlp_norm_D=mlp_norm,
        attn_in=join_rows(projections + gates if parallel else projections, dtype),
        mlp_in=None if parallel else join_rows(gates, dtype),
        qk_norm_Nh=qk_norm,
        o=attn.o.weight.detach().to(dtype),
        down=mlp.down.weight.detach().to(dtype),
    )


def join_rows(linears: Sequence[nn.Linear], dtype: torch.dtype) -> Tensor:
    """The weights of layers with one input as one matrix; those of its dtype become slices of it."""
    joined = torch.cat([linear.weight.detach() for linear in linears]).to(dtype)
    begin = 0
    for linear in linears:
        rows = linear.weight.shape[0]
        if linear.weight.dtype == dtype:
            part = joined[begin : begin + rows]
            linear.weight = nn.Parameter(part, requires_grad=linear.weight.requires_grad)
        begin += rows
    return joined
