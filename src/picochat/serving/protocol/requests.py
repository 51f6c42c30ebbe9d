"""What a client may ask, field by field: the models that requests are read with and the OpenAPI document is made from.

`null` means absent for every field. A field that could change the text is acted on or refused by name; a field that
cannot is accepted. Nothing is clamped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from picochat.serving.protocol.errors import ApiError, invalid_type, invalid_value, unsupported
from picochat.serving.protocol.fields import (
    MAX_ID,
    Biases,
    Content,
    DropNulls,
    Prompts,
    Stops,
    without_nulls,
)

MAX_CHOICES = 16
MAX_LOGPROBS = 20
MAX_MESSAGES = 256
MAX_TOP_K = 2**20
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
NO_EFFECT_PREFIX = "prompt_cache_"
TYPE_ERRORS = ("_type", "int_from_float")
"""Ends of pydantic's names for a value of the wrong kind; `literal_error` and the like are wrong values."""


class Strict(BaseModel):
    """Unknown names and other types are refused; an integer is a number too."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False
    """No effect: nothing is added to chunks."""


class Generation(Strict):
    """Fields of both endpoints."""

    model: str = Field(min_length=1, max_length=512)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, ge=0, le=1)
    n: int = Field(default=1, ge=1, le=MAX_CHOICES)
    stop: Stops = ()
    seed: int | None = Field(default=None, ge=INT64_MIN, le=INT64_MAX)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    logit_bias: Biases = Field(default_factory=dict)
    stream: bool = False
    stream_options: Annotated[StreamOptions | None, DropNulls] = None

    top_k: int = Field(default=0, ge=0, le=MAX_TOP_K)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0, le=2)
    ignore_eos: bool = False

    # Accepted without an effect: none of these could change the text.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: Literal[False] | None = None
    parallel_tool_calls: bool | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionRequest(Generation):
    """POST /v1/completions."""

    prompt: Prompts
    max_tokens: int = Field(default=16, ge=0, le=MAX_ID)
    best_of: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    echo: bool = False


class Message(Strict):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    tool_call_id: str | None = Field(default=None, max_length=512)
    """Of a tool's message; names a call, and is no part of the text."""


class ResponseFormat(Strict):
    type: Literal["text"]


class ChatRequest(Generation):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Annotated[Message, DropNulls]], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MAX_ID)
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_ID)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = Field(default=None, min_length=1, max_length=1)


ONLY_TEXT = ("response_format", "modalities")
"""Fields of which one value alone asks for what happens anyway."""

Model = TypeVar("Model", CompletionRequest, ChatRequest)


def read_request(model: type[Model], body: dict[str, Any]) -> Model:
    """The request in a body. Raises `invalid_type`, `invalid_value` or `unsupported_parameter`, naming the field."""
    given = without_nulls(body)
    known = model.model_fields
    given = {key: value for key, value in given.items() if key in known or not key.startswith(NO_EFFECT_PREFIX)}
    for name in given:
        if name not in known:
            raise unsupported(name[:64])
    try:
        request = model.model_validate(given)
    except ValidationError as err:
        raise _named(err) from None
    if request.stream_options is not None and not request.stream:
        raise invalid_value("stream_options", "is for streams alone: set stream")
    _require_sound(request)
    return request


def _named(err: ValidationError) -> ApiError:
    """The first fault as an error of ours; a text that was sent is shown in part."""
    first = err.errors(include_url=False, include_context=False)[0]
    top = str(first["loc"][0])
    param = top + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"][1:])[:120]
    if first["type"] == "missing":
        return invalid_value(param, "is required")
    if first["type"] == "extra_forbidden":
        return unsupported(param)
    if top in ONLY_TEXT:
        return unsupported(top, "takes only text here")
    message = first["msg"] if first["type"].startswith("picochat_") else f"{first['msg']}, got {_short(first['input'])}"
    if first["type"].endswith(TYPE_ERRORS):
        return invalid_type(param, message)
    return invalid_value(param, message)


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _require_sound(request: CompletionRequest | ChatRequest) -> None:
    """Rules over two fields."""
    if isinstance(request, CompletionRequest):
        _require_sound_completion(request)
        return
    limits = request.max_completion_tokens, request.max_tokens
    if None not in limits and limits[0] != limits[1]:
        raise invalid_value("max_tokens", f"is {limits[1]} and max_completion_tokens {limits[0]}: they mean the same")
    if request.top_logprobs is not None and not request.logprobs:
        raise invalid_value("top_logprobs", "needs logprobs to be true")
    for place, message in enumerate(request.messages):
        if message.content is None and message.role != "assistant":
            raise invalid_value(f"messages[{place}].content", f"is required for the role {message.role}")
        if message.tool_call_id is not None and message.role != "tool":
            raise unsupported(f"messages[{place}].tool_call_id", "belongs to the role tool")


def _require_sound_completion(request: CompletionRequest) -> None:
    if request.max_tokens == 0 and not request.echo:
        raise invalid_value("max_tokens", "0 scores the prompt, which needs echo")
    if request.best_of is not None and request.best_of < request.n:
        raise invalid_value("best_of", f"is {request.best_of} and n {request.n}: the best n are taken of best_of")
    if request.stream and request.best_of not in (None, 1):
        raise invalid_value("best_of", "cannot be streamed: which choices are the best is known at the end")
