"""Next-token prediction on documents: every token is a target."""

from __future__ import annotations

from torch import nn

from picochat.data.batches import Batch
from picochat.model.losses import chunked_cross_entropy
from picochat.model.transformer import Transformer
from picochat.training.objective import LossOutput


class LanguageModeling:
    """Cross-entropy with z-loss over all targets of a batch."""

    name = "language_modeling"

    def __init__(self, z_loss: float, chunk_tokens: int) -> None:
        self._z_loss = z_loss
        self._chunk_tokens = chunk_tokens

    def __call__(self, model: nn.Module, batch: Batch) -> LossOutput:
        assert isinstance(model, Transformer)
        hidden_BTD = model(batch.tokens_BT, segments_BT=batch.segments_BT, positions_BT=batch.positions_BT)
        loss = chunked_cross_entropy(
            hidden_BTD.flatten(0, 1),
            model.head_weight,
            batch.targets_BT.flatten(),
            z_loss=self._z_loss,
            chunk_tokens=self._chunk_tokens,
        )
        return LossOutput(loss.total_sum, loss.loss_sum, batch.num_targets)
