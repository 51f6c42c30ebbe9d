"""POST /v1/chat/completions: a conversation to requests of the engine, and its pieces to a message or to deltas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from picochat.inference.engine.request import Piece
from picochat.serving.answers.choices import Choice
from picochat.serving.answers.logprobs import Spelling, chat_logprobs
from picochat.serving.answers.plan import (
    build_choice,
    build_head,
    choose_seed,
    require_biases,
    require_model,
    require_room,
    require_worth_encoding,
    usage,
)
from picochat.serving.protocol.requests import ChatRequest
from picochat.serving.served import ServedModel

RENDERED_AS = {"developer": "system"}


class Turn(NamedTuple):
    """A message as the template reads it."""

    role: str
    content: str
    weight: float = 1.0


class ChatPlan:
    """A conversation that fits. The template alone places control tokens; contents are data.

    Raises `model_not_found`, `invalid_value` or `context_length_exceeded`.
    """

    def __init__(self, request: ChatRequest, served: ServedModel, deadline_s: float) -> None:
        require_model(request.model, served)
        require_biases(request, served)
        self.request = request
        self._spelling = Spelling(served.codec)
        turns = [Turn(RENDERED_AS.get(m.role, m.role), m.content or "") for m in request.messages]
        given = request.max_completion_tokens or request.max_tokens
        param = "max_completion_tokens" if request.max_completion_tokens else "max_tokens" if given else "messages"
        # Without a limit the rest of the context is the answer's; it needs room for one token at least.
        require_worth_encoding(served, (turn.content for turn in turns), given or 1, param)
        ids = served.codec.render_chat(turns)
        require_room(served.max_model_len, len(ids), given or 1, param)
        max_tokens = given or served.max_model_len - len(ids)
        self._top = (request.top_logprobs or 0) if request.logprobs else None
        seed = choose_seed(request)
        self.head = build_head(served, "chatcmpl", "chat.completion")
        self.prompt_tokens = len(ids)
        self.requests = [
            build_choice(
                request,
                served,
                ids=ids,
                max_tokens=max_tokens,
                seed=seed + index,
                deadline_s=deadline_s,
                logprobs=self._top,
            )
            for index in range(request.n)
        ]

    def answer(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """The whole answer."""
        shown = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": self.logprobs(choice.tokens),
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(choices)
        ]
        counted = usage(self.prompt_tokens, sum(len(choice.tokens) for choice in choices))
        return {**self.head.fields(), "choices": shown, "usage": counted}

    def logprobs(self, tokens: Sequence[Any]) -> dict[str, Any] | None:
        return None if self._top is None else chat_logprobs(self._spelling, self._top, tokens)

    def stream(self) -> ChatStream:
        return ChatStream(self)


class ChatStream:
    """Pieces to chunks: the role of each choice first, then contents, then an empty delta with the reason."""

    def __init__(self, plan: ChatPlan) -> None:
        self._plan = plan
        self._head = plan.head.fields() | {"object": "chat.completion.chunk"}
        self.tokens = 0

    def opening(self) -> Iterator[dict[str, Any]]:
        for index in range(len(self._plan.requests)):
            yield self._chunk(index, {"role": "assistant", "content": ""})

    def chunks(self, index: int, piece: Piece) -> Iterator[dict[str, Any]]:
        self.tokens += len(piece.tokens)
        logprobs = self._plan.logprobs(piece.tokens) if piece.tokens else None
        if piece.text or logprobs:
            yield self._chunk(index, {"content": piece.text}, logprobs)
        if piece.finish:
            yield self._chunk(index, {}, finish=piece.finish)

    def usage(self) -> dict[str, Any]:
        """The chunk after the last choice."""
        return {**self._head, "choices": [], "usage": usage(self._plan.prompt_tokens, self.tokens)}

    def _chunk(
        self, index: int, delta: dict[str, str], logprobs: dict[str, Any] | None = None, finish: str | None = None
    ) -> dict[str, Any]:
        return {
            **self._head,
            "choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}],
        }
