"""Batches for the trainer: the one place where rows become tensors. Suffixes: B rows, T tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from picochat.core.errors import refuse
from picochat.data.rows import IGNORE, RowSource

SampleOrder = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""From numbers of the run's samples (0, 1, 2, ...) to row numbers."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one rank."""

    tokens_BT: Tensor
    targets_BT: Tensor
    segments_BT: Tensor | None
    num_targets: int
    spans: NDArray[np.int64]

    @property
    def num_tokens(self) -> int:
        return self.tokens_BT.numel()


class BatchStream:
    """Micro-batches in one global order that knows nothing of ranks.

    Step s takes the samples s*G .. s*G+G-1 (G sequences a step over all ranks); a rank takes its slice, cut into
    micro-batches.
    The position is the number of samples consumed, so a resume goes on with the next.
    """

    def __init__(
        self,
        source: RowSource,
        order: SampleOrder,
        *,
        micro_batch_size: int,
        micro_batches: int,
        rank: int = 0,
        world_size: int = 1,
        document_mask: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        """`micro_batches` is the number of micro-batches a rank draws in one step."""
        if len(source) == 0:
            refuse("data.too_small", f"the training documents give no row of {source.row_tokens} tokens")
        self._source, self._order = source, order
        self._shape = (micro_batches, micro_batch_size)
        self._rank, self._world_size = rank, world_size
        self._document_mask, self._device = document_mask, torch.device(device)
        self._next = 0

    @property
    def sequences_per_step(self) -> int:
        """Over all ranks."""
        return self._shape[0] * self._shape[1] * self._world_size

    @property
    def tokens_per_step(self) -> int:
        return self.sequences_per_step * self._source.row_tokens

    @property
    def epoch(self) -> float:
        return self._next / len(self._source)

    def draw_step(self) -> list[Batch]:
        """All micro-batches of this rank's next step. Advances the position."""
        micro_batches, size = self._shape
        mine = micro_batches * size
        begin = self._next + self._rank * mine
        rows = self._order(np.arange(begin, begin + mine, dtype=np.int64))
        self._next += self.sequences_per_step
        return [self._batch(rows[i * size : (i + 1) * size]) for i in range(micro_batches)]

    def blank(self) -> Batch:
        """A micro-batch of zeros in the shape of all others; the position stays where it is."""
        shape = (self._shape[1], self._source.row_tokens)
        zeros_BT = torch.zeros(shape, dtype=torch.int64, device=self._device)
        segments_BT = zeros_BT if self._document_mask else None
        return Batch(zeros_BT, zeros_BT, segments_BT, zeros_BT.numel(), np.zeros((0, 3), np.int64))

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        block = self._source.take(rows)
        segments = torch.from_numpy(block.segments).to(self._device) if self._document_mask else None
        return Batch(
            tokens_BT=torch.from_numpy(block.tokens).to(self._device),
            targets_BT=torch.from_numpy(block.targets).to(self._device),
            segments_BT=segments,
            num_targets=int((block.targets != IGNORE).sum()),
            spans=block.spans,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"next_sample": self._next, "rows": len(self._source)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["rows"] != len(self._source):
            refuse(
                "data.position",
                f"the checkpoint was made on {state['rows']:,} rows, there are {len(self._source):,} now",
            )
        self._next = state["next_sample"]
