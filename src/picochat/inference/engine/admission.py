"""Whether a request can be answered at all: asked before it takes a place in the queue."""

from __future__ import annotations

from collections.abc import Iterable

from picochat.core.errors import refuse
from picochat.inference.engine.request import Request, Sampling
from picochat.model.config import ModelConfig


def require_answerable(request: Request, config: ModelConfig) -> None:
    """Raises `engine.request`, `engine.token` or `engine.context`."""
    prompt, answer, context = len(request.prompt_ids), request.max_tokens, config.max_seq_len
    if not prompt:
        refuse("engine.request", "the prompt has 0 tokens, at least 1 is needed", fix="begin it with the BOS token")
    if answer < 0 or (answer == 0 and request.prompt_logprobs is None):
        detail = f"max_tokens is {answer}: it must be at least 1, or 0 with prompt_logprobs"
        refuse("engine.request", detail, fix="ask for at least 1 token")
    if not all(request.stop):
        refuse("engine.request", "a stop string is empty", fix="leave it out")
    if prompt + answer > context:
        detail = f"the context has {context:,} tokens, the prompt has {prompt:,} and the answer may have {answer:,}"
        refuse("engine.context", detail)
    _require_ids(request.prompt_ids, config.vocab_size, "the prompt")
    _require_ids(request.sampling.logit_bias, config.vocab_size, "logit_bias")
    _require_sampling(request.sampling)
    for name, count in (("logprobs", request.logprobs), ("prompt_logprobs", request.prompt_logprobs)):
        if count is not None and count < 0:
            refuse("engine.request", f"{name} is {count}, the least is 0")


def _require_ids(ids: Iterable[int], vocab_size: int, where: str) -> None:
    for token in ids:
        if not 0 <= token < vocab_size:
            refuse("engine.token", f"id {token} in {where} is outside of the vocabulary of {vocab_size:,} ids")


def _require_sampling(sampling: Sampling) -> None:
    """Comparisons that NaN fails as well."""
    sound = {
        "temperature": 0 <= sampling.temperature < float("inf"),
        "top_k": sampling.top_k >= 0,
        "top_p": 0 <= sampling.top_p <= 1,
        "min_p": 0 <= sampling.min_p <= 1,
        "repetition_penalty": 0 < sampling.repetition_penalty < float("inf"),
        "presence_penalty": abs(sampling.presence_penalty) < float("inf"),
        "frequency_penalty": abs(sampling.frequency_penalty) < float("inf"),
        "logit_bias": all(abs(bias) < float("inf") for bias in sampling.logit_bias.values()),
    }
    wrong = [name for name, is_sound in sound.items() if not is_sound]
    if wrong:
        refuse("engine.request", f"{wrong[0]} is {getattr(sampling, wrong[0])}, which nothing can be drawn with")
