"""What both endpoints ask of the engine: a prompt's place in the context, the sampling of a choice, the names of an
answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from picochat.core.clock import utc_seconds
from picochat.inference.engine.request import Request, Sampling
from picochat.serving.protocol.errors import ApiError, context_exceeded, invalid_value
from picochat.serving.protocol.requests import Generation
from picochat.serving.served import ServedModel

MAX_DRAWN = 128
"""Prompts times best_of: choices that one request may draw."""
_SEED_BITS = 64


@dataclass(frozen=True)
class Head:
    """What stands at the top of an answer and of each chunk of it."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str

    def fields(self) -> dict[str, object]:
        return {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
        }


def build_head(served: ServedModel, prefix: str, kind: str) -> Head:
    """`cmpl`, `text_completion` -> a head with an id of its own."""
    return Head(f"{prefix}-{secrets.token_hex(12)}", kind, utc_seconds(), served.id, served.fingerprint)


def require_model(asked: str, served: ServedModel) -> None:
    """Raises `model_not_found`, naming the one that is served."""
    if asked != served.id:
        message = f"the model {asked[:200]!r} is not served here; this server serves {served.id!r}"
        raise ApiError("model_not_found", message, "model")


def require_biases(request: Generation, served: ServedModel) -> None:
    """Raises `invalid_value` for an id outside of the vocabulary."""
    for token in request.logit_bias:
        if token >= served.codec.vocab_size:
            raise invalid_value("logit_bias", f"id {token} is outside of the {served.codec.vocab_size:,} ids")


def require_room(context: int, prompt: int, answer: int, param: str) -> None:
    """Raises `context_length_exceeded` before a slot is touched."""
    if prompt + answer > context:
        raise context_exceeded(context, prompt, answer, param)


def require_worth_encoding(served: ServedModel, texts: Iterable[str], answer: int, param: str) -> None:
    """Raises `context_length_exceeded` for a text that cannot fit, however it is cut into tokens.

    Encoding half a megabyte of text takes time and memory that its sender does not pay for.
    """
    least = sum(len(text.encode()) for text in texts) // served.longest_piece_bytes
    if least + answer > served.max_model_len:
        raise context_exceeded(served.max_model_len, least, answer, param, at_least=True)


def choose_seed(request: Generation) -> int:
    """The client's seed, or one from the system."""
    return secrets.randbits(_SEED_BITS - 1) if request.seed is None else request.seed


def build_sampling(request: Generation, served: ServedModel, seed: int) -> Sampling:
    """`seed` is that of the request plus the index of the choice; all 64 bits count."""
    # More than the vocabulary keeps all of it, which 0 says.
    top_k = request.top_k if request.top_k < served.codec.vocab_size else 0
    return Sampling(
        temperature=float(request.temperature),
        top_k=top_k,
        top_p=float(request.top_p),
        min_p=float(request.min_p),
        repetition_penalty=float(request.repetition_penalty),
        presence_penalty=float(request.presence_penalty),
        frequency_penalty=float(request.frequency_penalty),
        logit_bias=request.logit_bias,
        seed=seed % 2**_SEED_BITS,
    )


def build_choice(
    request: Generation,
    served: ServedModel,
    *,
    ids: list[int],
    max_tokens: int,
    seed: int,
    deadline_s: float,
    logprobs: int | None,
    prompt_logprobs: int | None = None,
) -> Request:
    """One choice of an answer."""
    return Request(
        prompt_ids=ids,
        max_tokens=max_tokens,
        sampling=build_sampling(request, served, seed),
        stop=request.stop,
        end_ids=frozenset() if request.ignore_eos else served.codec.end_ids,
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        deadline_s=deadline_s,
    )


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
