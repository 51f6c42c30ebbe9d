"""The playground: which checkpoints can speak, and one answer of one of them as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from starlette.responses import Response, StreamingResponse

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.tokenizer.chat import render
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.views.runs.run_state import read_run_state
from picochat.workbench.commands.speakers import frame
from picochat.workbench.problems import Problem, not_found
from picochat.workbench.routing import Call, Question, Route

MAX_MESSAGES = 64
MAX_CHARS = 32_768
TOP = 10
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
STREAM = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Turn(Question):
    """One message."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(max_length=MAX_CHARS)
    weight: float = Field(default=1.0, exclude=True)


class Generate(Question):
    """What is asked of one checkpoint. A chat has messages, a text has a prompt."""

    run: str = Field(max_length=80)
    checkpoint: str = Field(pattern=r"^(base|sft)/(checkpoint|checkpoint\.previous|best|kept/step-\d{8})$")
    messages: list[Turn] = Field(default=[], max_length=MAX_MESSAGES)
    prompt: str | None = Field(default=None, max_length=MAX_CHARS)
    max_tokens: int = Field(ge=1, le=4096)
    temperature: float = Field(ge=0, le=2)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(default=0, ge=0, le=100_000)
    seed: int = Field(ge=0, le=2**53)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("give messages or a prompt")
        return self


def list_speakers(call: Call) -> dict[str, Any]:
    """Every checkpoint of every run, the chat models first; what is loaded now."""
    found = []
    for folder in call.bench.run_folders():
        store = RunStore(folder)
        names = store.checkpoint_folders()
        if not names or not store.has(layout.TOKENIZER):
            continue
        state = read_run_state(folder)
        names.sort(key=lambda name: not name.startswith(layout.SFT))
        found += [{"run": folder.name, "checkpoint": name, "verdict": state.verdict} for name in names]
    return {"checkpoints": found, "speakers": call.bench.speakers.describe()}


def generate(call: Call) -> Response:
    """One answer, streamed: the prompt as the model sees it, then tokens with their probabilities."""
    asked: Generate = call.body
    store = call.bench.run(asked.run)
    if asked.checkpoint not in store.checkpoint_folders() or store.path(asked.checkpoint).is_symlink():
        raise not_found("this run has no such checkpoint")
    try:
        seen = exact_prompt(store, asked)
    except PicochatError as err:
        raise Problem(422, err.code, err.detail, fix=err.fix) from None
    path, body = request_of(asked)
    return StreamingResponse(
        _stream(call, store, asked.checkpoint, path, body, seen), headers=STREAM, media_type="text/event-stream"
    )


def exact_prompt(store: RunStore, asked: Generate) -> list[dict[str, Any]]:
    """Ids of the prompt with the text of each, control tokens by name: what the model is really given."""
    tok = Tokenizer.load(store.path(layout.TOKENIZER))
    if asked.prompt is None:
        ids = render(asked.messages, tok, add_generation_prompt=True).ids
    else:
        ids = [tok.bos, *tok.encode(asked.prompt)]
    names = {number: name for name, number in tok.specials.items()}
    return [{"id": token, "text": names.get(token) or tok.decode([token]), "special": token in names} for token in ids]


def request_of(asked: Generate) -> tuple[str, dict[str, Any]]:
    """Path and body as OpenAI's clients send them."""
    body: dict[str, Any] = {
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if asked.prompt is None:
        messages = [{"role": turn.role, "content": turn.content} for turn in asked.messages]
        return CHAT, body | {"messages": messages, "logprobs": True, "top_logprobs": TOP}
    return TEXT, body | {"prompt": asked.prompt, "logprobs": TOP}


def _stream(
    call: Call, store: RunStore, checkpoint: str, path: str, body: dict[str, Any], seen: list[dict[str, Any]]
) -> Iterator[bytes]:
    yield frame({"state": "prompt", "tokens": seen})
    try:
        yield from call.bench.speakers.ask(store, checkpoint, path, body)
    except Problem as err:
        yield frame({"error": err.detail})


ROUTES = [
    Route("GET", "api/speakers", list_speakers, "Checkpoints that can speak", "picochat checkpoint list RUN"),
    Route(
        "POST",
        "api/generate",
        generate,
        "One answer of one checkpoint, as server-sent events",
        "picochat chat RUN, picochat generate RUN",
        body=Generate,
    ),
]
