"""Tokens of sequences that lie in slots: the step that generation repeats, without what training needs.

    step   one more token for each of the first B slots      tokens, positions -> scores
    read   a chunk of one prompt                             slot, tokens      -> states

The mathematics is `Transformer.forward`'s, in the same order of operations but for what is joined: projections of one
input are one matrix, and a residual is added by the product before it. So values differ from the plain path in rounding
alone (tests hold both within 1e-4).

Suffixes: B slots, T tokens a slot, R = B * T rows, S positions, D dim, H heads, K kv heads, N = H + K, h head_dim,
V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from picochat.model.attention import Attention, choose_attention
from picochat.model.config import ModelConfig
from picochat.model.layers import RMSNorm, SwiGLU
from picochat.model.packed import Matrix, can_pack
from picochat.model.slot_cache import SlotCache
from picochat.model.transformer import ParallelBlock, SequentialBlock, Transformer


class DecodeLayer(NamedTuple):
    """Weights of one block as they are read here. `mlp_in` is None where it is part of `attn_in` (parallel)."""

    attn_norm_D: Tensor
    mlp_norm_D: Tensor | None
    attn_in: Matrix
    """Rows of q, k and v; of gate and up as well in a parallel block."""
    mlp_in: Matrix | None
    qk_norm_Nh: Tensor | None
    o: Matrix
    down: Matrix


class Span(NamedTuple):
    """Which tokens are computed, as every block of one pass needs to know it."""

    slots: slice
    n_slots: int
    n_tokens: int
    n_keys: int
    cos_R1h: Tensor
    sin_R1h: Tensor
    """Signed for `rotate_swapped`."""
    places: Tensor
    """Where each row's new keys go, (R*K,), among all (slot, kv head, position) of a layer."""
    mask_BTS: Tensor | None


class SlotDecoder:
    """A model over the slots of a cache.

    On a CPU the matrices are packed, which is a second copy of them. Elsewhere, in the dtype of the weights, the
    model's own become slices of the joined ones, with the values that they had, so nothing is stored twice.
    """

    def __init__(
        self, model: Transformer, cache: SlotCache, dtype: torch.dtype = torch.float32, packed: bool | None = None
    ) -> None:
        """`packed` None packs where that is possible."""
        self.config: ModelConfig = model.config
        self.cache, self.dtype = cache, dtype
        packed = can_pack(model.head_weight.device, dtype) if packed is None else packed
        self.embed_VD = model.embed.weight.detach().to(dtype)
        self.head = Matrix(model.head_weight.detach().to(dtype), packed)
        self.norm_D = model.norm.weight.detach().to(dtype)
        self.layers = [_read_block(block, self.config, dtype, packed) for block in model.blocks]
        self.cos_Sh = model.cos_Sh.to(dtype)
        half = self.config.head_dim // 2
        self.sin_Sh = torch.cat((-model.sin_Sh[:, :half], model.sin_Sh[:, half:]), dim=1).to(dtype)
        self._keys_S = torch.arange(self.config.max_seq_len, device=self.cos_Sh.device)

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Scores (B, V) after one more token in each of the first B slots, whose keys and values are written.

        `positions` count the tokens that the slot already holds.
        """
        places_B1 = torch.tensor(positions, device=self._keys_S.device).unsqueeze(1)
        masked = min(positions) < max(positions)
        span = self._span(slice(0, len(tokens)), places_B1, max(positions) + 1, masked)
        return self.head(self._run(tokens, span))

    @torch.inference_mode()
    def read(self, slot: int, tokens: Sequence[int], begin: int) -> Tensor:
        """Final-normed states (T, D) of the next tokens of a slot that holds `begin`; keys and values are written."""
        end = begin + len(tokens)
        span = self._span(slice(slot, slot + 1), self._keys_S[begin:end].unsqueeze(0), end, len(tokens) > 1)
        return self._run(tokens, span)

    def logits(self, hidden_RD: Tensor) -> Tensor:
        """Scores (R, V) of final-normed states."""
        with torch.inference_mode():
            return self.head(hidden_RD)

    def _span(self, slots: slice, positions_BT: Tensor, n_keys: int, masked: bool) -> Span:
        c, (B, T) = self.config, positions_BT.shape
        heads_BK = torch.arange(slots.start * c.n_kv_heads, slots.stop * c.n_kv_heads, device=positions_BT.device)
        places = heads_BK.view(B, 1, -1) * c.max_seq_len + positions_BT.unsqueeze(2)
        mask_BTS = None
        if masked:
            hidden_BTS = self._keys_S[:n_keys] > positions_BT.unsqueeze(2)
            # float32 as the plain path's: the scores are added to it before they are cast
            mask_BTS = torch.zeros(hidden_BTS.shape, device=hidden_BTS.device).masked_fill_(hidden_BTS, float("-inf"))
        positions_R = positions_BT.flatten()
        cos_R1h, sin_R1h = self.cos_Sh[positions_R].unsqueeze(1), self.sin_Sh[positions_R].unsqueeze(1)
        return Span(slots, B, T, n_keys, cos_R1h, sin_R1h, places.flatten(), mask_BTS)

    def _run(self, tokens: Sequence[int], span: Span) -> Tensor:
        """Final-normed states (R, D)."""
        x_RD = self.embed_VD[torch.tensor(tokens, device=self.embed_VD.device)]
        for layer, weights in enumerate(self.layers):
            x_RD = self._block(layer, weights, x_RD, span)
        return self._norm(x_RD, self.norm_D)

    def _block(self, layer: int, w: DecodeLayer, x_RD: Tensor, span: Span) -> Tensor:
        inner = w.attn_in(self._norm(x_RD, w.attn_norm_D))
        x_RD = w.o.add_to(x_RD, self._attend(layer, w, inner, span))
        if w.mlp_in is not None and w.mlp_norm_D is not None:
            gate_up = w.mlp_in(self._norm(x_RD, w.mlp_norm_D))
        else:
            gate_up = inner[:, inner.shape[1] - 2 * self.config.hidden_dim :]
        gate, up = gate_up.chunk(2, dim=1)
        return w.down.add_to(x_RD, F.silu(gate).mul_(up))

    def _attend(self, layer: int, w: DecodeLayer, inner: Tensor, span: Span) -> Tensor:
        """Attention of the new tokens (R, H*h), whose keys and values are written first."""
        c = self.config
        H, K, h = c.n_heads, c.n_kv_heads, c.head_dim
        qk_RNh = inner[:, : (H + K) * h].unflatten(1, (H + K, h))
        if w.qk_norm_Nh is not None:
            qk_RNh = self._norm(qk_RNh, w.qk_norm_Nh)
        qk_RNh = rotate_swapped(qk_RNh, span.cos_R1h, span.sin_R1h)
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        v_RKh = inner[:, (H + K) * h : (H + 2 * K) * h]
        keys.view(-1, h).index_copy_(0, span.places, qk_RNh[:, H:].reshape(-1, h).to(keys.dtype))
        values.view(-1, h).index_copy_(0, span.places, v_RKh.reshape(-1, h).to(values.dtype))
        q_BHTh = qk_RNh[:, :H].unflatten(0, (span.n_slots, span.n_tokens)).transpose(1, 2)
        k_BKSh = keys[span.slots, :, : span.n_keys].to(self.dtype)
        v_BKSh = values[span.slots, :, : span.n_keys].to(self.dtype)
        attend = choose_attention(q_BHTh, k_BKSh, span.mask_BTS)
        return attend(q_BHTh, k_BKSh, v_BKSh, span.mask_BTS).transpose(1, 2).reshape(-1, H * h)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm as `layers.RMSNorm` computes it: float32 inside, the input's dtype, then the weight."""
        x_float = x.float()
        scale = x_float.square().mean(-1, keepdim=True).add_(self.config.norm_eps).rsqrt_()
        return (x_float * scale).to(x.dtype).mul_(weight)


def rotate_swapped(x_RNh: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`rope.rotate` with the sign of the turned half put into `sin`: its first half is negated."""
    swapped = torch.roll(x_RNh, x_RNh.shape[-1] // 2, -1)
    return torch.addcmul(x_RNh * cos, swapped, sin)


def _read_block(block: nn.Module, config: ModelConfig, dtype: torch.dtype, packed: bool) -> DecodeLayer:
    parallel = isinstance(block, ParallelBlock)
    attn, mlp = cast(Attention, block.attn), cast(SwiGLU, block.mlp)
    norm = cast(RMSNorm, block.norm if parallel else cast(SequentialBlock, block).attn_norm)
    mlp_norm = None if parallel else cast(SequentialBlock, block).mlp_norm.weight.detach().to(dtype)
    projections, gates = [attn.q, attn.k, attn.v], [mlp.gate, mlp.up]

    def join(linears: Sequence[nn.Linear]) -> Matrix:
        return Matrix(join_rows(linears, dtype, share=not packed), packed)

    qk_norm = None
    if isinstance(attn.q_norm, RMSNorm) and isinstance(attn.k_norm, RMSNorm):
        q_Hh = attn.q_norm.weight.detach().expand(config.n_heads, -1)
        qk_norm = torch.cat((q_Hh, attn.k_norm.weight.detach().expand(config.n_kv_heads, -1))).to(dtype)
    return DecodeLayer(
        attn_norm_D=norm.weight.detach().to(dtype),
        mlp_norm_D=mlp_norm,
        attn_in=join(projections + gates if parallel else projections),
        mlp_in=None if parallel else join(gates),
        qk_norm_Nh=qk_norm,
        o=Matrix(attn.o.weight.detach().to(dtype), packed),
        down=Matrix(mlp.down.weight.detach().to(dtype), packed),
    )


def join_rows(linears: Sequence[nn.Linear], dtype: torch.dtype, share: bool) -> Tensor:
    """The weights of layers with one input as one matrix; with `share` those of its dtype become slices of it."""
    joined = torch.cat([linear.weight.detach() for linear in linears]).to(dtype)
    begin = 0
    for linear in linears:
        rows = linear.weight.shape[0]
        if share and linear.weight.dtype == dtype:
            part = joined[begin : begin + rows]
            linear.weight = nn.Parameter(part, requires_grad=linear.weight.requires_grad)
        begin += rows
    return joined
