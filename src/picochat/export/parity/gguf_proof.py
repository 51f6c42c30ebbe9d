"""Proof of a GGUF file: llama.cpp on F32 weights with an F32 cache, and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from picochat.export.parity.compare import Difference, Top, compare_tops
from picochat.export.parity.paths import PROMPTS, GreedyPath, longest, path_logits
from picochat.export.parity.report import Comparison
from picochat.export.parity.with_llama import LlamaError, LlamaPeer, is_installed
from picochat.model.transformer import Transformer
from picochat.tokenizer.tokenizer import Tokenizer

BOUND = 1e-3
UNIT = "log-probability"
NAMES = ("llama.cpp.f32", "llama.cpp.tokens")
NOT_INSTALLED = "xllamacpp is not installed: pip install xllamacpp"


class GgufPeer:
    """A file in llama.cpp."""

    bound = BOUND

    def __init__(self, file: Path, tok: Tokenizer) -> None:
        self._file, self._tok = file, tok
        self._tops: list[Top] = []

    def compare(self, model: Transformer, paths: Sequence[GreedyPath]) -> list[Comparison]:
        """Greedy tokens, the ten likeliest at every step, and the tokenizer."""
        try:
            peer = LlamaPeer(self._file, PROMPTS, longest(paths))
            self._tops = peer.tops(paths, self._tok)
            tokens = peer.compare_tokenizer(self._tok)
        except LlamaError as err:
            return [Comparison.failed(NAMES[0], str(err))]
        found = self.difference([path_logits(model, path) for path in paths])
        return [Comparison.of(NAMES[0], UNIT, found, BOUND), tokens]

    def difference(self, ours: Sequence[Tensor]) -> Difference:
        return compare_tops(ours, self._tops, BOUND)


def open_llama(file: Path, tok: Tokenizer) -> GgufPeer | None:
    """None where xllamacpp is not installed."""
    return GgufPeer(file, tok) if is_installed() else None


def measure_type(kind: str, file: Path, model: Transformer, paths: Sequence[GreedyPath], tok: Tokenizer) -> Comparison:
    """llama.cpp on a file of fewer bits against our model with the same, rounded weights: measured, not bounded.

    llama.cpp rounds activations too, so no equality is promised; that it loads and stays finite is.
    """
    name = f"llama.cpp.{kind}"
    if not is_installed():
        return Comparison.not_run(name, NOT_INSTALLED)
    try:
        tops = LlamaPeer(file, PROMPTS, longest(paths)).tops(paths, tok)
    except LlamaError as err:
        return Comparison.failed(name, str(err))
    return Comparison.of(name, UNIT, compare_tops([path_logits(model, path) for path in paths], tops, BOUND), None)
