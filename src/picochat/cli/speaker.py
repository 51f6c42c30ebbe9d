"""A model that speaks on the terminal: the engine with one slot, shown as it goes, stopped by Ctrl-C.

The same engine serves, so the same conversation, sampling and seed give the same text there.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

from picochat.cli.model_source import ModelSource
from picochat.cli.sampling import Manner
from picochat.inference.engine.engine import Engine
from picochat.inference.engine.request import Piece, ScoredToken
from picochat.inference.engine.settings import EngineSettings

Show = Callable[[str], None]


class Answer(NamedTuple):
    """A whole answer, or what there was of it when it was stopped (`finish` is "cancelled")."""

    text: str
    tokens: tuple[ScoredToken, ...]
    seconds: float
    finish: str

    @property
    def tokens_per_s(self) -> float:
        return len(self.tokens) / self.seconds if self.seconds > 0 else 0.0

    @property
    def mean_probability(self) -> float:
        """Of the drawn tokens, under the model's own distribution; 0 where there are none."""
        return sum(map(probability, self.tokens)) / max(1, len(self.tokens))

    def summary(self) -> str:
        """`12 tokens, 250 tokens/s, mean probability 0.43`."""
        count = f"{len(self.tokens)} token{'s' if len(self.tokens) != 1 else ''}"
        rate = f"{self.tokens_per_s:,.0f} tokens/s, mean probability {self.mean_probability:.2f}"
        return f"{count}, {rate}{', stopped' if self.finish == 'cancelled' else ''}"


def probability(scored: ScoredToken) -> float:
    """Of a token whose log-probability was asked for."""
    return math.exp(scored.logprob) if scored.logprob is not None else 0.0


class Speaker:
    """One loaded model with its engine. A context manager."""

    def __init__(self, source: ModelSource) -> None:
        self.codec, self.label = source.codec, source.label
        self.context = source.loaded.model.config.max_seq_len
        self._engine = Engine(source.loaded, source.codec, EngineSettings(slots=1))

    def __enter__(self) -> Self:
        self._engine.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self._engine.close()

    def answer(self, ids: Sequence[int], manner: Manner, show: Show) -> Answer:
        """Shows the answer while it is made. Ctrl-C ends it within a step. Raises `engine.*`."""
        request = manner.build_request(ids, self.context, self.codec.end_ids)
        pieces: SimpleQueue[Piece] = SimpleQueue()
        started = time.perf_counter()
        job = self._engine.submit([request], lambda _, piece: pieces.put(piece))
        texts: list[str] = []
        tokens: list[ScoredToken] = []
        finish = None
        while finish is None:
            try:
                piece = pieces.get()
                texts.append(piece.text)
                tokens += piece.tokens
                show(piece.text)
                finish = piece.finish
            except KeyboardInterrupt:
                self._engine.cancel(job)
            except BaseException:
                self._engine.cancel(job)
                raise
        if finish == "error":
            raise RuntimeError(piece.error)
        return Answer("".join(texts), tuple(tokens), time.perf_counter() - started, finish)


def show_text(text: str) -> None:
    """At once, on standard output. What a model says cannot steer a terminal; a pipe gets it as it is."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def visible(text: str) -> str:
    """The text with control characters, but for line breaks and tabs, spelled out."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
