"""Proof of a Hugging Face folder: transformers in float32 and bfloat16, and the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from picochat.export.parity.compare import Difference, compare_logits
from picochat.export.parity.paths import GreedyPath, path_logits
from picochat.export.parity.proof import in_bfloat16
from picochat.export.parity.report import Comparison
from picochat.export.parity.with_transformers import compare_tokenizer, is_installed, load_peer, peer_logits
from picochat.model.transformer import Transformer
from picochat.tokenizer.tokenizer import Tokenizer

FLOAT32_BOUND, BFLOAT16_BOUND = 1e-5, 0.0
NAMES = ("transformers.float32", "transformers.bfloat16", "transformers.tokens")
NOT_INSTALLED = "transformers is not installed: pip install transformers"


class TransformersPeer:
    """The folder in transformers."""

    bound = FLOAT32_BOUND

    def __init__(self, folder: Path, tok: Tokenizer) -> None:
        self._folder, self._tok = folder, tok
        self._float32: list[Tensor] = []

    def compare(self, model: Transformer, paths: Sequence[GreedyPath]) -> list[Comparison]:
        """Both precisions, each loaded with `dtype=` as users do, and the tokenizer."""
        try:
            self._float32 = peer_logits(load_peer(self._folder, torch.float32), paths)
            bfloat16 = peer_logits(load_peer(self._folder, torch.bfloat16), paths)
            tokens = compare_tokenizer(self._folder, self._tok)
        except Exception as err:  # the library raises whatever it likes on a folder that it cannot load
            return [Comparison.failed(NAMES[0], f"{type(err).__name__}: {str(err)[:300]}")]
        found = self.difference([path_logits(model, path) for path in paths])
        halved = in_bfloat16(model)
        close = compare_logits([path_logits(halved, path) for path in paths], bfloat16, BFLOAT16_BOUND)
        return [
            Comparison.of(NAMES[0], "logits", found, FLOAT32_BOUND),
            Comparison.of(NAMES[1], "logits", close, BFLOAT16_BOUND),
            tokens,
        ]

    def difference(self, ours: Sequence[Tensor]) -> Difference:
        return compare_logits(ours, self._float32, FLOAT32_BOUND)


def open_transformers(folder: Path, tok: Tokenizer) -> TransformersPeer | None:
    """None where transformers is not installed."""
    return TransformersPeer(folder, tok) if is_installed() else None
