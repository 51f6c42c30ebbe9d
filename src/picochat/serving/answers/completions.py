"""POST /v1/completions: prompts to requests of the engine, and its pieces to an answer or to chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from picochat.inference.engine.request import Piece, Request
from picochat.serving.answers.choices import Choice
from picochat.serving.answers.logprobs import CompletionLogprobs, Spelling, join_logprobs
from picochat.serving.answers.plan import (
    MAX_DRAWN,
    build_choice,
    build_head,
    choose_seed,
    require_biases,
    require_model,
    require_room,
    require_worth_encoding,
    usage,
)
from picochat.serving.protocol.errors import invalid_value
from picochat.serving.protocol.fields import Prompt
from picochat.serving.protocol.requests import CompletionRequest
from picochat.serving.served import ServedModel

PARAM = "max_tokens"


class CompletionPlan:
    """A request that fits: its requests for the engine, prompt by prompt, `drawn` choices each.

    A text prompt gets the token that begins a text, once, as in training; ids are used as they are.
    Raises `model_not_found`, `invalid_value` or `context_length_exceeded`.
    """

    def __init__(self, request: CompletionRequest, served: ServedModel, deadline_s: float) -> None:
        require_model(request.model, served)
        require_biases(request, served)
        self.request = request
        self.drawn = request.best_of or request.n
        if len(request.prompt) * self.drawn > MAX_DRAWN:
            many = f"{len(request.prompt)} prompts and {self.drawn} choices of each, at most {MAX_DRAWN} in all"
            raise invalid_value("n" if request.best_of is None else "best_of", many)
        self._spelling = Spelling(served.codec)
        for prompt in request.prompt:
            if isinstance(prompt, str):
                require_worth_encoding(served, [prompt], request.max_tokens, PARAM)
        self.prompts = [_encode(prompt, served) for prompt in request.prompt]
        for ids in self.prompts:
            require_room(served.max_model_len, len(ids), request.max_tokens, PARAM)
        self.head = build_head(served, "cmpl", "text_completion")
        self.prompt_tokens = sum(map(len, self.prompts))
        self.requests = self._build_requests(served, deadline_s)

    def _build_requests(self, served: ServedModel, deadline_s: float) -> list[Request]:
        seed = choose_seed(self.request)
        # The best of several is found by log-probability, whether or not the client sees it.
        logprobs = self.request.logprobs if self.drawn == self.request.n else (self.request.logprobs or 0)
        # A prompt that is only scored is asked for in any case, or there would be nothing to do.
        scored = self.request.logprobs if self.request.echo else None
        scored = 0 if self.request.max_tokens == 0 and scored is None else scored
        return [
            build_choice(
                self.request,
                served,
                ids=ids,
                max_tokens=self.request.max_tokens,
                seed=seed + place * self.drawn + j,
                deadline_s=deadline_s,
                logprobs=logprobs,
                prompt_logprobs=scored,
            )
            for place, ids in enumerate(self.prompts)
            for j in range(self.drawn)
        ]

    def answer(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """The whole answer. Every drawn token counts, also of choices that are not shown."""
        n, drawn = self.request.n, self.drawn
        shown: list[dict[str, Any]] = []
        for place in range(len(self.prompts)):
            candidates = list(choices[place * drawn : (place + 1) * drawn])
            if drawn > n:
                candidates = sorted(candidates, key=lambda choice: -choice.mean_logprob)[:n]
            shown += [self._choice(place * n + j, place, choice) for j, choice in enumerate(candidates)]
        counted = usage(self.prompt_tokens, sum(len(choice.tokens) for choice in choices))
        return {**self.head.fields(), "choices": shown, "usage": counted}

    def _choice(self, index: int, place: int, choice: Choice) -> dict[str, Any]:
        logprobs = None
        if self.request.logprobs is not None:
            counter = CompletionLogprobs(self._spelling, self.request.logprobs)
            head = [counter.prompt(choice.prompt)] if self.request.echo else []
            logprobs = join_logprobs([*head, counter.part(choice.tokens)])
        text = (self._echo(place) if self.request.echo else "") + choice.text
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": choice.finish}

    def _echo(self, place: int) -> str:
        """The prompt as text: as it was sent, or what the ids stand for."""
        prompt = self.request.prompt[place]
        return prompt if isinstance(prompt, str) else self._spelling.text(prompt)

    def stream(self) -> CompletionStream:
        return CompletionStream(self)

    def echo(self, index: int) -> str:
        """The prompt of the choice of a stream, if it was asked for."""
        return self._echo(index // self.drawn) if self.request.echo else ""

    def counter(self) -> CompletionLogprobs | None:
        return None if self.request.logprobs is None else CompletionLogprobs(self._spelling, self.request.logprobs)


class CompletionStream:
    """Pieces to chunks: the prompt first where it is echoed, then text as it comes, the reason in the last one."""

    def __init__(self, plan: CompletionPlan) -> None:
        self._plan = plan
        self._counters = {index: plan.counter() for index in range(len(plan.requests))}
        self._begun: set[int] = set()
        self.tokens = 0

    def opening(self) -> Iterator[dict[str, Any]]:
        """Nothing stands before the first piece."""
        yield from ()

    def chunks(self, index: int, piece: Piece) -> Iterator[dict[str, Any]]:
        self.tokens += len(piece.tokens)
        text, counter, parts = piece.text, self._counters[index], []
        if index not in self._begun:
            self._begun.add(index)
            text = self._plan.echo(index) + text
            if counter and self._plan.request.echo:
                parts.append(counter.prompt(piece.prompt))
        if counter:
            parts.append(counter.part(piece.tokens))
        shown = join_logprobs(parts) if counter else None
        if text or piece.finish or (shown and shown["tokens"]):
            choice = {"index": index, "text": text, "logprobs": shown, "finish_reason": piece.finish}
            yield {**self._plan.head.fields(), "choices": [choice]}

    def usage(self) -> dict[str, Any]:
        """The chunk after the last choice."""
        return {**self._plan.head.fields(), "choices": [], "usage": usage(self._plan.prompt_tokens, self.tokens)}


def _encode(prompt: Prompt, served: ServedModel) -> list[int]:
    codec = served.codec
    if isinstance(prompt, str):
        return [*([] if codec.bos is None else [codec.bos]), *codec.encode(prompt)]
    if max(prompt) >= codec.vocab_size:
        raise invalid_value("prompt", f"id {max(prompt)} is outside of the {codec.vocab_size:,} ids")
    return prompt
