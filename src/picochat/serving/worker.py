"""From the event loop to the engine's thread and back: one queue a request, and a client that leaves frees its slot.

submit(engine, requests) -> Ticket      in the event loop; the engine's thread fills its queue
ticket.pieces()                         until every request has finished
ticket.leave()                          the client is gone: the job is cancelled, the pieces end
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Any, Protocol

from picochat.core.errors import PicochatError
from picochat.inference.engine.request import EngineStats, Piece, Request, Sink
from picochat.serving.protocol.errors import ApiError

LOGGER = logging.getLogger("picochat.serving")


class Engine(Protocol):
    """What a server needs of an engine. `submit` may be called from any thread; it raises `engine.*`."""

    def start(self) -> None: ...

    def submit(self, requests: Sequence[Request], sink: Sink) -> Any:
        """Queues the requests together and returns the job that `cancel` takes."""
        ...

    def cancel(self, job: Any) -> None: ...

    def stats(self) -> EngineStats: ...

    def close(self, drain_s: float = 0.0) -> None:
        """Ends what runs after `drain_s` seconds at most, then the thread."""
        ...


class Timings(Protocol):
    """Where the delays of answers are counted, in seconds."""

    def first_token(self, seconds: float) -> None: ...

    def next_token(self, seconds: float) -> None: ...


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class EngineFailed(Exception):
    """The engine gave an answer up; the text is for the log alone."""


_GONE = object()


class Ticket:
    """A job as the event loop sees it."""

    def __init__(self, engine: Engine, count: int, timings: Timings) -> None:
        self._engine = engine
        self._open = count
        self._timings = timings
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._job: Any = None
        self._started = perf_counter()
        self._last: dict[int, float] = {}

    def hand_in(self, requests: Sequence[Request]) -> None:
        """Raises what the engine raises."""
        self._job = self._engine.submit(requests, self._sink)

    def leave(self) -> None:
        """Cancels the job, once; what `pieces` waits for ends with `ClientGone`."""
        if self._job is not None and self._open:
            self._engine.cancel(self._job)
        self._job = None
        self._queue.put_nowait(_GONE)

    async def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """(index of the request, piece) as they come. Raises `ClientGone`, `EngineFailed` or `draining`."""
        while self._open:
            item = await self._queue.get()
            if item is _GONE:
                raise ClientGone
            index, piece = item
            self._note(index, piece)
            if piece.finish is not None:
                self._open -= 1
                _require_whole(piece)
            yield index, piece

    def _sink(self, index: int, piece: Piece) -> None:
        """Called on the engine's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (index, piece))

    def _note(self, index: int, piece: Piece) -> None:
        if not piece.tokens:
            return
        now = perf_counter()
        before = self._last.get(index)
        if before is None:
            self._timings.first_token(now - self._started)
        else:
            self._timings.next_token(now - before)
        self._last[index] = now


def _require_whole(piece: Piece) -> None:
    if piece.finish == "error":
        raise EngineFailed(piece.error or "the engine gave no reason")
    if piece.finish == "cancelled":
        raise ApiError("draining", "the server is shutting down and ended this answer")


def submit(engine: Engine, requests: Sequence[Request], timings: Timings) -> Ticket:
    """Hands requests to the engine. Raises `queue_full`, `context_length_exceeded`, or `EngineFailed`."""
    ticket = Ticket(engine, len(requests), timings)
    try:
        ticket.hand_in(requests)
    except PicochatError as err:
        raise _as_api_error(err) from err
    return ticket


def _as_api_error(err: PicochatError) -> Exception:
    """What the engine refuses, as clients know it. What they cannot have caused is a fault of ours."""
    if err.code == "engine.queue_full":
        return ApiError("queue_full", "all slots are busy and the queue is full: ask again in a moment")
    if err.code == "engine.context":
        return ApiError("context_length_exceeded", err.detail)
    if err.code == "engine.closed":
        return EngineFailed(err.detail)
    return err
