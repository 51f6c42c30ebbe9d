"""What the engine is asked, and what it answers. Torch-free in its values: ids, text and floats.

A `Request` is one choice: one prompt, one answer. A `Job` is what a client waits for: one request or many, admitted
together to the queue, each in its own slot when one is free. `Engine.submit` takes the requests of a job and a sink;
the sink is called on the engine's thread with (index of the request, `Piece`) and must not block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is picked: bias, penalties, temperature, top_k, top_p, min_p, draw, in this order.

    A temperature below 1e-5 takes the likeliest. `presence_penalty` and `frequency_penalty` count generated tokens,
    `repetition_penalty` (Keskar et al. 2019, arXiv:1909.05858, section 4.1) the prompt's too. `seed` is of this choice
    alone: other traffic never changes its draws.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """One choice. `max_tokens` 0 scores the prompt alone and needs `prompt_logprobs`.

    `logprobs` and `prompt_logprobs` ask for the chosen token's log-probability and that many alternatives (0: none);
    None asks for nothing. `deadline_s` counts from submission; an answer that meets it ends with `length`.
    """

    prompt_ids: Sequence[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    end_ids: frozenset[int] = frozenset()
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    deadline_s: float | None = None


class ScoredToken(NamedTuple):
    """A token with the natural logarithm of its probability under the model's own distribution, before temperature.

    `top` holds the likeliest ids, best first, from the same vector of logits; the chosen one may lie beyond it.
    `logprob` is None for the first token of a prompt, and where nothing was asked.
    """

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


class Piece(NamedTuple):
    """What came of one step for one request.

    `text` is what may be shown now: whole code points only, and nothing that may begin a stop string. `tokens` are the
    generated tokens that this piece released, the ending one included. `prompt` stands in the first piece of a request
    that asked for `prompt_logprobs`. `finish` is set in the last piece, which every request gets exactly once.
    """

    text: str = ""
    tokens: tuple[ScoredToken, ...] = ()
    prompt: tuple[ScoredToken, ...] = ()
    finish: FinishReason | None = None
    error: str | None = None
    """The reason behind `error`, for the log alone."""


Sink = Callable[[int, Piece], None]


class EngineStats(NamedTuple):
    """Gauges and counters since the start, for /metrics and for tests that slots come free."""

    slots: int
    busy_slots: int
    waiting_jobs: int
    prompt_tokens: int
    generated_tokens: int
    cancelled: int
    steps: int
