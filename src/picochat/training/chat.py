"""Supervised fine-tuning: only what the assistant says is a target."""

from __future__ import annotations

import torch
from torch import nn

from picochat.data.batches import Batch
from picochat.data.rows import IGNORE
from picochat.model.losses import chunked_cross_entropy
from picochat.model.transformer import Transformer
from picochat.training.objective import LossOutput


class ChatTuning:
    """Cross-entropy over the supervised targets alone: the hidden states of all others never meet the head.

    In packed chat rows most tokens are prompt and padding, so leaving them out of the head saves most of its work.
    `num_targets` is the global divisor's share, so a row full of prompt weighs nothing.
    """

    name = "chat"

    def __init__(self, z_loss: float, chunk_tokens: int) -> None:
        self._z_loss = z_loss
        self._chunk_tokens = chunk_tokens

    def __call__(self, model: nn.Module, batch: Batch) -> LossOutput:
        assert isinstance(model, Transformer)
        hidden_ND = model(batch.tokens_BT, segments_BT=batch.segments_BT).flatten(0, 1)
        targets_N = batch.targets_BT.flatten()
        supervised = torch.nonzero(targets_N != IGNORE).squeeze(1)
        loss = chunked_cross_entropy(
            hidden_ND.index_select(0, supervised),
            model.head_weight,
            targets_N[supervised],
            z_loss=self._z_loss,
            chunk_tokens=self._chunk_tokens,
        )
        return LossOutput(
            loss.total_sum, loss.loss_sum, batch.num_targets, {"supervised_frac": batch.num_targets / batch.num_tokens}
        )
