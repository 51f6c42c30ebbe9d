"""An engine without a model: it says what a script says, on a thread of its own, and can be cancelled.

The stop rules and the spelling of text are the real engine's matter; what is scripted here leaves as it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from picochat.core.errors import PicochatError
from picochat.inference.engine.request import EngineStats, Piece, Request, ScoredToken, Sink
from picochat.tokenizer.codec import Codec

Script = Callable[[Request], Iterable[Piece]]


@dataclass(eq=False)
class FakeJob:
    requests: list[Request]
    cancelled: threading.Event = field(default_factory=threading.Event)


class FakeEngine:
    """`asked` holds every request that came in; `refusal` is raised by the next submit, once."""

    def __init__(self, script: Script, slots: int = 4) -> None:
        self.script = script
        self.slots = slots
        self.asked: list[Request] = []
        self.refusal: PicochatError | None = None
        self.cancelled = 0
        self.closed = threading.Event()
        self._busy: set[FakeJob] = set()
        self._drawn = 0
        self._prompt = 0

    def start(self) -> None:
        pass

    def submit(self, requests: Sequence[Request], sink: Sink) -> FakeJob:
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        job = FakeJob(list(requests))
        self.asked += requests
        self._busy.add(job)
        threading.Thread(target=self._run, args=(job, sink), daemon=True).start()
        return job

    def cancel(self, job: FakeJob) -> None:
        job.cancelled.set()

    def stats(self) -> EngineStats:
        return EngineStats(self.slots, len(self._busy), 0, self._prompt, self._drawn, self.cancelled, self._drawn)

    def close(self, drain_s: float = 0.0) -> None:
        self.closed.set()
        for job in list(self._busy):
            job.cancelled.set()

    def _run(self, job: FakeJob, sink: Sink) -> None:
        self._prompt += sum(len(request.prompt_ids) for request in job.requests)
        for index, request in enumerate(job.requests):
            for piece in self.script(request):
                if job.cancelled.is_set():
                    piece = Piece(finish="cancelled")
                    self.cancelled += 1
                self._drawn += len(piece.tokens)
                if piece.finish:
                    self._done(job, index)
                sink(index, piece)
                if piece.finish:
                    break

    def _done(self, job: FakeJob, index: int) -> None:
        if index == len(job.requests) - 1:
            self._busy.discard(job)


def says(codec: Codec, text: str, *, finish: str = "stop", wait_s: float = 0.0, repeat: int = 1) -> Script:
    """A script that answers `text` token by token, up to max_tokens, with a made-up log-probability for each."""
    ids = codec.encode(text) * repeat

    def score(token: int, asked: int | None) -> ScoredToken:
        if asked is None:
            return ScoredToken(token, None)
        top = [(token, -0.25), *((other, -2.0 - other / 16) for other in range(32, 64) if other != token)]
        return ScoredToken(token, -0.25, tuple(top[:asked]))

    def script(request: Request) -> Iterable[Piece]:
        prompt: tuple[ScoredToken, ...] = ()
        if request.prompt_logprobs is not None:
            scored = [score(token, request.prompt_logprobs) for token in request.prompt_ids]
            prompt = (ScoredToken(scored[0].token, None), *scored[1:])
        limit = request.max_tokens
        if limit == 0:
            yield Piece(prompt=prompt, finish="length")
            return
        for place, token in enumerate(ids[:limit]):
            if wait_s:
                time.sleep(wait_s)
            last = place == min(limit, len(ids)) - 1
            reason = ("length" if limit < len(ids) else finish) if last else None
            text = codec.piece(token).decode("utf-8", "replace")
            yield Piece(text, (score(token, request.logprobs),), prompt if place == 0 else (), reason)

    return script
