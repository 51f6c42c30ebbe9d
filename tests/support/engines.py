"""An engine around a random model that tells: its blocks rule the stream, so a wrong position or head shows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from tests.support.chat_run import build_tokenizer

from picochat.checkpoint.format import CheckpointManifest
from picochat.inference.engine.engine import Engine
from picochat.inference.engine.request import Piece, Request, ScoredToken
from picochat.inference.engine.settings import EngineSettings
from picochat.inference.loader import LoadedModel
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.tokenizer.codec import Codec, PicochatCodec

VOCAB_SIZE = 288
WAIT_S = 30


def build_telling_model(seed: int = 0, **shape: Any) -> Transformer:
    """Small embeddings and large matrices: greedy decoding wanders instead of repeating one token."""
    sizes = {"dim": 64, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "max_seq_len": 128} | shape
    model = Transformer(ModelConfig(vocab_size=VOCAB_SIZE, **sizes))
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                gain = 8.0 if name == "norm.weight" else 1.7 if "q_norm" in name or "k_norm" in name else 1.0
                parameter.copy_(gain * (0.75 + 0.5 * torch.rand(parameter.shape, generator=rng)))
            else:
                std = 0.05 if "embed" in name else 1.6 / math.sqrt(parameter.shape[1])
                parameter.copy_(std * torch.randn(parameter.shape, generator=rng))
    return model.eval().requires_grad_(False)


def load(model: Transformer) -> LoadedModel:
    """A model as the loader gives it, without a checkpoint."""
    return LoadedModel(model, cast(CheckpointManifest, None), "0" * 64, nullcontext)


def build_codec() -> PicochatCodec:
    return PicochatCodec(build_tokenizer()[1])


def build_engine(model: Transformer, codec: Codec | None = None, clock: Any = None, **settings: Any) -> Engine:
    return Engine(load(model), codec or build_codec(), EngineSettings(**settings), clock)


class Listener:
    """A sink that keeps every piece, by the index of its request."""

    def __init__(self) -> None:
        self.pieces: dict[int, list[Piece]] = defaultdict(list)

    def __call__(self, index: int, piece: Piece) -> None:
        self.pieces[index].append(piece)

    def text(self, index: int = 0) -> str:
        return "".join(piece.text for piece in self.pieces[index])

    def scored(self, index: int = 0) -> list[ScoredToken]:
        return [token for piece in self.pieces[index] for token in piece.tokens]

    def tokens(self, index: int = 0) -> list[int]:
        return [scored.token for scored in self.scored(index)]

    def finish(self, index: int = 0) -> str | None:
        """The one finish reason; fails where there is none, or more than one, or a piece after it."""
        reasons = [piece.finish for piece in self.pieces[index]]
        assert reasons and reasons[-1] and not any(reasons[:-1]), reasons
        return reasons[-1]


def answer(engine: Engine, requests: Sequence[Request]) -> Listener:
    """All answers of one job."""
    listener = Listener()
    assert engine.submit(requests, listener).wait(WAIT_S), "a request was never finished"
    for index in range(len(requests)):
        listener.finish(index)
    return listener
