"""What a client waits for, and one answer of it on its way through the engine."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from picochat.inference.engine.request import FinishReason, Piece, Request, ScoredToken, Sink
from picochat.inference.engine.sampling import Sampler
from picochat.inference.engine.text import TextAssembler
from picochat.tokenizer.codec import Codec


class Job:
    """The requests of one `Engine.submit`. Every one of them gets exactly one finishing piece."""

    def __init__(self, requests: Sequence[Request], sink: Sink) -> None:
        self.requests, self.sink = tuple(requests), sink
        self.cancelled = False
        """Set by `Engine.cancel`, read by the engine's thread."""
        self._left = len(self.requests)
        self._done = threading.Event()
        if not self.requests:
            self._done.set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether all requests are finished, and their slots free, within the time; off the engine's thread."""
        return self._done.wait(timeout_s)

    def count_left(self) -> None:
        """One more request has got its finishing piece and holds no slot."""
        self._left -= 1
        if self._left == 0:
            self._done.set()


class Lane:
    """One request with what was made of it so far. Only the engine's thread sends and counts here."""

    def __init__(self, job: Job, index: int, codec: Codec, deadline: float | None) -> None:
        """`deadline` on the engine's clock, in seconds."""
        self.job, self.index, self.deadline = job, index, deadline
        self.request = job.requests[index]
        self.sampler = Sampler(self.request.sampling, self.request.prompt_ids)
        self.prompt_scores: list[ScoredToken] = []
        self.filled = 0
        """Tokens in the slot."""
        self.last_token = -1
        """Drawn, and not yet in the slot."""
        self.made = 0
        self.finished = False
        self._text = TextAssembler(codec, self.request.stop)

    def take(self, scored: ScoredToken) -> None:
        """One more token of the answer: sends what it releases, and finishes where it ends the answer."""
        self.made += 1
        self.last_token = scored.token
        finish: FinishReason | None = None
        if scored.token in self.request.end_ids:
            text, finish = self._text.finish(), "stop"
        else:
            text = self._text.push(scored.token)
            if not self._text.stopped and self.made >= self.request.max_tokens:
                text, finish = text + self._text.finish(), "length"
            finish = "stop" if self._text.stopped else finish
        self._send(Piece(text, (scored,), self._take_prompt(), finish))

    def end_early(self) -> None:
        """The time is over: what was made stands, with what was held back."""
        self._send(Piece(self._text.finish(), (), self._take_prompt(), "length"))

    def cancel(self) -> None:
        """Nothing more but the word."""
        self._send(Piece(finish="cancelled"))

    def fail(self, reason: object) -> None:
        """`reason` is an exception or a sentence, for the log."""
        text = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason)
        self._send(Piece(finish="error", error=text))

    def _take_prompt(self) -> tuple[ScoredToken, ...]:
        """The scores of the whole prompt, once; of a prompt that was not read to its end there are none."""
        if len(self.prompt_scores) < len(self.request.prompt_ids):
            return ()
        scores, self.prompt_scores = tuple(self.prompt_scores), []
        return scores

    def _send(self, piece: Piece) -> None:
        """Hands a piece to the client. A sink that raises is told once that this was the end, and no more."""
        if self.finished:
            return
        self.finished = piece.finish is not None
        try:
            self.job.sink(self.index, piece)
        except Exception as err:
            if not self.finished:
                self.fail(err)
