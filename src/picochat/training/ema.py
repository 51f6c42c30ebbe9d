"""An exponential moving average of the weights, kept beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from picochat.distributed.shards import slice_like


class Ema:
    """avg <- avg + (1 - decay) * (weights - avg), element by element, after every accepted step."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._named = dict(model.named_parameters())
        self.averages = {name: p.detach().clone() for name, p in self._named.items()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        for average, parameter in zip(self.averages.values(), self._named.values(), strict=True):
            average.lerp_(parameter, 1.0 - self.decay)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.averages)

    def load_state_dict(self, tensors: dict[str, Tensor], updates: int) -> None:
        self.updates = updates
        for name, average in self.averages.items():
            average.copy_(slice_like(average, tensors[name]))

    @contextlib.contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """The model holds the averages inside the block and its own weights again after it."""
        kept = {name: p.detach().clone() for name, p in self._named.items()}
        for name, p in self._named.items():
            p.copy_(self.averages[name])
        try:
            yield
        finally:
            for name, p in self._named.items():
                p.copy_(kept[name])
