"""Supervised fine-tuning: only what the assistant says is a target."""

from __future__ import annotations

from torch import nn

from picochat.data.batches import Batch
from picochat.model.losses import chunked_cross_entropy, keep_targets
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
        hidden_BTD = model(batch.tokens_BT, segments_BT=batch.segments_BT, positions_BT=batch.positions_BT)
        hidden_KD, targets_K = keep_targets(hidden_BTD.flatten(0, 1), batch.targets_BT.flatten())
        loss = chunked_cross_entropy(
            hidden_KD, model.head_weight, targets_K, z_loss=self._z_loss, chunk_tokens=self._chunk_tokens
        )
        return LossOutput(
            loss.total_sum, loss.loss_sum, batch.num_targets, {"supervised_frac": batch.num_targets / batch.num_tokens}
        )
