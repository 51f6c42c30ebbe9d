"""Batches for the trainer: the one place where rows become tensors. Suffixes: B rows, T tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from picochat.core.errors import refuse
from picochat.data.rows import IGNORE, RowBlock, RowSource

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
    positions_BT: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        return self.tokens_BT.numel()


class BatchStream:
    """Micro-batches in one global order that knows nothing of ranks.

    Step s takes the samples s*G .. s*G+G-1 (G sequences a step over all ranks); a rank takes its slice, cut into
    micro-batches. Sample k is a row of epoch `k div n`, so each step is a function of its number: with `prefetch` a
    thread reads that many steps ahead, and nothing else changes. The position is the number of samples consumed, so a
    resume goes on with the next.
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
        prefetch: int = 0,
    ) -> None:
        """`micro_batches` is the number of micro-batches a rank draws in one step."""
        if len(source) == 0:
            refuse("data.too_small", f"the training documents give no row of {source.row_tokens} tokens")
        self._source, self._order = source, order
        self._shape = (micro_batches, micro_batch_size)
        self._rank, self._world_size = rank, world_size
        self._document_mask, self._device = document_mask, torch.device(device)
        self._next = 0
        self._prefetch = prefetch
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches") if prefetch else None
        self._ahead: deque[Future[list[RowBlock]]] = deque()

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
        if self._reader is None:
            blocks = self._read_step(self._next)
        else:
            while len(self._ahead) <= self._prefetch:
                first = self._next + len(self._ahead) * self.sequences_per_step
                self._ahead.append(self._reader.submit(self._read_step, first))
            blocks = self._ahead.popleft().result()
        self._next += self.sequences_per_step
        return [self._batch(block) for block in blocks]

    def _read_step(self, first: int) -> list[RowBlock]:
        """This rank's micro-batches of the step that begins with sample `first`."""
        micro_batches, size = self._shape
        mine = micro_batches * size
        begin = first + self._rank * mine
        numbers = np.arange(begin, begin + mine, dtype=np.int64)
        rows, epochs = self._order(numbers), numbers // len(self._source)
        places = [slice(i * size, (i + 1) * size) for i in range(micro_batches)]
        return [self._source.take(rows[place], epochs[place]) for place in places]

    def blank(self) -> Batch:
        """A micro-batch of zeros in the shape of all others; the position stays where it is."""
        shape = (self._shape[1], self._source.row_tokens)
        zeros_BT = torch.zeros(shape, dtype=torch.int64, device=self._device)
        masked = zeros_BT if self._document_mask else None
        positions_BT = masked if self._source.take(np.zeros(1, np.int64)).positions is not None else None
        return Batch(zeros_BT, zeros_BT, masked, zeros_BT.numel(), np.zeros((0, 3), np.int64), positions_BT)

    def _batch(self, block: RowBlock) -> Batch:
        positions = block.positions if self._document_mask else None
        return Batch(
            tokens_BT=self._tensor(block.tokens),
            targets_BT=self._tensor(block.targets),
            segments_BT=self._tensor(block.segments) if self._document_mask else None,
            num_targets=int((block.targets != IGNORE).sum()),
            spans=block.spans,
            positions_BT=None if positions is None else self._tensor(positions),
        )

    def _tensor(self, table: NDArray[np.int64]) -> Tensor:
        host = torch.from_numpy(np.ascontiguousarray(table))
        if self._device.type != "cuda":
            return host
        # From pinned memory the copy runs beside the step before; the caching allocator keeps the pages alive for it.
        return host.pin_memory().to(self._device, non_blocking=True)

    def state_dict(self) -> dict[str, Any]:
        """The position: what a resume needs, and where it lies for a reader of the checkpoint."""
        state: dict[str, Any] = {"next_sample": self._next, "rows": len(self._source), "epoch": 0, "row": 0, "at": []}
        epoch = self._next // len(self._source)
        row = self._order(np.array([self._next], dtype=np.int64))
        spans = self._source.take(row, np.array([epoch])).spans
        return state | {"epoch": epoch, "row": int(row[0]), "at": spans[0].tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `data.position` when the rows are others than those of the checkpoint."""
        if state["rows"] != len(self._source):
            refuse(
                "data.position",
                f"the checkpoint was made on {state['rows']:,} rows, there are {len(self._source):,} now",
            )
        self._next = state["next_sample"]
        self._ahead.clear()
        if (now := self.state_dict()) != state:
            key = next(key for key in now if now[key] != state[key])
            refuse("data.position", f"the next row has {key} {state[key]} in the checkpoint, {now[key]} here")
