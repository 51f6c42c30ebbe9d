"""Causal attention for long rows on a CPU: torch's fused forward, and a backward of plain matrix products.

The fused kernel's own backward is the slow part of a training step on a CPU. Here the backward walks over blocks of
queries, rebuilds their weights from the saved log-sum-exp (Dao et al. 2022, FlashAttention, algorithm 4), and never
touches keys in the future of a block, so half of the square is skipped.

Suffixes: B batch, H heads, K kv heads, G query heads of a group, T tokens, b tokens of a block, S keys, h head_dim.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

BLOCK_TOKENS = 128


def attend_causal_blocks(q_BHTh: Tensor, k_BKTh: Tensor, v_BKTh: Tensor) -> Tensor:
    """Causal grouped-query attention over whole rows, (B, H, T, h), with a backward of matrix products."""
    return _CausalBlocks.apply(q_BHTh, k_BKTh, v_BKTh)


def _repeat_groups(x_BKTh: Tensor, n_heads: int) -> Tensor:
    B, K, T, h = x_BKTh.shape
    return x_BKTh.unsqueeze(2).expand(B, K, n_heads // K, T, h).reshape(B, n_heads, T, h)


class _CausalBlocks(Function):
    @staticmethod
    def forward(ctx: Any, q_BHTh: Tensor, k_BKTh: Tensor, v_BKTh: Tensor) -> Tensor:
        n_heads = q_BHTh.shape[1]
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q_BHTh, _repeat_groups(k_BKTh, n_heads), _repeat_groups(v_BKTh, n_heads), 0.0, True
        )
        ctx.save_for_backward(q_BHTh, k_BKTh, v_BKTh, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Products in the inputs' dtype; what is exponentiated or subtracted, in float32."""
        q_BHTh, k_BKTh, v_BKTh, out_BHTh, lse_BHT = ctx.saved_tensors
        grad_out_BHTh = grads[0]
        B, H, T, h = q_BHTh.shape
        K = k_BKTh.shape[1]
        keys, values = k_BKTh.reshape(B * K, T, h), v_BKTh.reshape(B * K, T, h)
        scaled_q_BHTh, scaled_keys = q_BHTh * h**-0.5, keys * h**-0.5
        grad_q, grad_k, grad_v = torch.empty_like(out_BHTh), torch.zeros_like(keys), torch.zeros_like(values)
        delta_BHT1 = (grad_out_BHTh * out_BHTh).sum(-1, keepdim=True, dtype=torch.float32)
        lse_BHT1, dtype = lse_BHT.unsqueeze(-1), q_BHTh.dtype
        for start in range(0, T, BLOCK_TOKENS):
            block = slice(start, min(start + BLOCK_TOKENS, T))
            past = slice(0, block.stop)
            q, grad_out, lse, delta = (
                x[:, :, block].reshape(B * K, -1, x.shape[3])
                for x in (scaled_q_BHTh, grad_out_BHTh, lse_BHT1, delta_BHT1)
            )
            weights = torch.bmm(q, keys[:, past].transpose(1, 2)).float().sub_(lse).exp_()
            # Only the last square of a block reaches into the future; tril zeroes what exp made of it.
            weights.view(B * H, -1, block.stop)[:, :, start:].tril_()
            grad_v[:, past] += torch.bmm(weights.to(dtype).transpose(1, 2), grad_out)
            slope = torch.bmm(grad_out, values[:, past].transpose(1, 2)).float().sub_(delta).mul_(weights).to(dtype)
            grad_q[:, :, block] = torch.bmm(slope, scaled_keys[:, past]).view(B, H, -1, h)
            grad_k[:, past] += torch.bmm(slope.transpose(1, 2), q)
        return grad_q, grad_k.view_as(k_BKTh), grad_v.view_as(v_BKTh)
