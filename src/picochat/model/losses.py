"""Cross-entropy over the head in chunks, so that tokens x vocabulary never stands in memory.

Suffixes: N tokens, D dim, V vocab, C tokens of a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

IGNORE_INDEX = -100
TARGET_MULTIPLE = 256


class ChunkedLoss(NamedTuple):
    """Sums over the targets, float32. Differentiate `total_sum`; `loss_sum` (nats) is for reports, without gradient."""

    total_sum: Tensor
    loss_sum: Tensor
    num_targets: Tensor


def chunked_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    ignore_index: int = IGNORE_INDEX,
    z_loss: float = 1e-5,
    chunk_tokens: int = 512,
) -> ChunkedLoss:
    """Sum of cross-entropy and `z_loss * logsumexp**2` (Chowdhery et al. 2022, PaLM, section 5) over the targets.

    Gradients are computed beside the loss, a chunk of `chunk_tokens` at a time, and scaled in the backward: one pass
    over the head in place of two. Only one (chunk_tokens, V) block of logits lives at a time.
    """
    num_targets = (targets_N != ignore_index).sum()
    needs_grad = torch.is_grad_enabled() and (hidden_ND.requires_grad or weight_VD.requires_grad)
    total, loss = _ChunkedCrossEntropy.apply(
        hidden_ND, weight_VD, targets_N, ignore_index, z_loss, chunk_tokens, needs_grad
    )
    return ChunkedLoss(total, loss, num_targets)


def keep_targets(
    hidden_ND: Tensor, targets_N: Tensor, *, ignore_index: int = IGNORE_INDEX, multiple: int = TARGET_MULTIPLE
) -> tuple[Tensor, Tensor]:
    """The tokens that are targets, so that the others never meet the head; filled up with ignored ones to `multiple`.

    Without that, almost every batch has a length of its own, and oneDNN keeps a compiled matrix product for each: on a
    CPU in bf16 a fine-tuning grew by a gigabyte. Costs one synchronisation on a GPU.
    """
    rows_K = (targets_N != ignore_index).nonzero().squeeze(1)
    filled = min(-(-max(len(rows_K), 1) // multiple) * multiple, len(targets_N))
    padding = rows_K.new_zeros(filled - len(rows_K))
    kept_K = targets_N[rows_K]
    return (
        hidden_ND.index_select(0, torch.cat((rows_K, padding))),
        torch.cat((kept_K, kept_K.new_full((len(padding),), ignore_index))),
    )


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


class _ChunkedCrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        targets_N: Tensor,
        ignore_index: int,
        z_loss: float,
        chunk_tokens: int,
        needs_grad: bool,
    ) -> tuple[Tensor, Tensor]:
        weight = weight_VD.to(_compute_dtype(hidden_ND))
        loss_sum = hidden_ND.new_zeros((), dtype=torch.float32)
        z_sum = hidden_ND.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.empty_like(hidden_ND) if needs_grad else None
        grad_weight = torch.zeros_like(weight_VD) if needs_grad else None
        for start in range(0, hidden_ND.shape[0], chunk_tokens):
            chunk = slice(start, start + chunk_tokens)
            hidden_CD = hidden_ND[chunk].to(weight.dtype)
            kept_C1 = (targets_N[chunk] != ignore_index).unsqueeze(1)
            target_C1 = targets_N[chunk].unsqueeze(1).clamp_min(0)
            logits_CV = torch.mm(hidden_CD, weight.t())
            log_probs_CV = torch.log_softmax(logits_CV, dim=1, dtype=torch.float32)
            nats_C1 = -log_probs_CV.gather(1, target_C1)
            lse_C1 = nats_C1 + logits_CV.gather(1, target_C1)
            loss_sum = loss_sum + (nats_C1 * kept_C1).sum()
            z_sum = z_sum + (lse_C1.square() * kept_C1).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            # d(lse - logit_t + z*lse^2) = (1 + 2*z*lse) * softmax - onehot(target)
            grad_CV = log_probs_CV.exp_().mul_((1.0 + 2.0 * z_loss * lse_C1) * kept_C1)
            grad_CV.scatter_add_(1, target_C1, -kept_C1.to(grad_CV.dtype))
            grad_CV = grad_CV.to(weight.dtype)
            grad_hidden[chunk] = torch.mm(grad_CV, weight)
            grad_weight.add_(torch.mm(grad_CV.t(), hidden_CD))
        if grad_hidden is not None and grad_weight is not None:
            ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.mark_non_differentiable(loss_sum)
        return loss_sum + z_loss * z_sum, loss_sum

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = grads[0]
        return (
            grad_hidden * scale.to(grad_hidden.dtype),
            grad_weight * scale.to(grad_weight.dtype),
            None,
            None,
            None,
            None,
            None,
        )
