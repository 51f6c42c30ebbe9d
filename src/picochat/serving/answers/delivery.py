"""An answer on its way to a client: one JSON document, or a stream of server-sent events.

Whoever leaves frees the slot: the connection is watched while the answer is made. An error after the start of a stream
is an event of its own, and the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from picochat.inference.engine.request import Piece
from picochat.serving.protocol.errors import ApiError
from picochat.serving.protocol.strict_json import dump
from picochat.serving.worker import ClientGone, EngineFailed, Ticket

DONE = b"data: [DONE]\n\n"
STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Stream(Protocol):
    """Pieces of the engine to chunks; `tokens` counts what was drawn so far."""

    tokens: int

    def opening(self) -> Iterator[dict[str, Any]]: ...

    def chunks(self, index: int, piece: Piece) -> Iterator[dict[str, Any]]: ...

    def usage(self) -> dict[str, Any]: ...


def event(document: dict[str, Any]) -> bytes:
    return b"data: " + dump(document) + b"\n\n"


@contextlib.asynccontextmanager
async def watched(ticket: Ticket, receive: Receive) -> AsyncIterator[None]:
    """While the answer is made, a client that goes away cancels it; so does whatever ends the block early."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        ticket.leave()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        ticket.leave()


class EventStream(Response):
    """`data: {json}` for each chunk, `data: [DONE]` at the end.

    `failed` says what a client is told of the engine's failure; `finished` gets the number of drawn tokens.
    """

    def __init__(
        self,
        ticket: Ticket,
        stream: Stream,
        *,
        include_usage: bool,
        failed: Callable[[EngineFailed], ApiError],
        finished: Callable[[int], None],
    ) -> None:
        super().__init__(headers=STREAM_HEADERS)
        del self.headers["content-length"]
        self._ticket = ticket
        self._stream = stream
        self._include_usage = include_usage
        self._failed = failed
        self._finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with watched(self._ticket, receive):
            try:
                async for data in self._events():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except ClientGone:
                return
            finally:
                self._finished(self._stream.tokens)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self._stream.opening():
                yield self._chunk(chunk)
            async for index, piece in self._ticket.pieces():
                for chunk in self._stream.chunks(index, piece):
                    yield self._chunk(chunk)
        except ApiError as err:
            yield event(err.envelope())
            return
        except EngineFailed as err:
            yield event(self._failed(err).envelope())
            return
        if self._include_usage:
            yield event(self._stream.usage())
        yield DONE

    def _chunk(self, chunk: dict[str, Any]) -> bytes:
        return event(chunk | {"usage": None} if self._include_usage else chunk)
