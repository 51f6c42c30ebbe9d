"""Server-sent events by hand: what changed, to each page that listens, as long as it does.

    retry: 2000                     how long a browser waits before it comes back
    id: 17000000003                 the number to go on from, which a browser sends back as Last-Event-ID
    data: {"cursor", "kind", "run"}
    :                               a comment each ten seconds, so that a dead connection shows

No queue belongs to a stream: it asks the feed what came after its number. A page that reads slowly costs nothing but
its own picture; one that reads nothing is let go by the guard. All streams share one look at the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from picochat.core.jsonio import canonical_json
from picochat.workbench.problems import Problem
from picochat.workbench.threads import HandlerThreads
from picochat.workbench.watching.feed import Invalidation, everything
from picochat.workbench.watching.follow import LOOK_S, Follower

LOGGER = logging.getLogger("picochat.workbench")
COMMENT_S = 10.0
RETRY_MS = 2000
MOST_STREAMS = 64
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class Pulse:
    """Looks at the files while somebody listens, and wakes the listeners. Only the event loop touches it."""

    def __init__(self, follower: Follower, *, look_s: float = LOOK_S, comment_s: float = COMMENT_S) -> None:
        self.follower = follower
        self.comment_s = comment_s
        self.streams = 0
        self.closed = False
        self._look_s = look_s
        self._changed = asyncio.Event()
        self._told = follower.feed.newest
        """Whoever asks for changes looks too, so what is new is not only what was found here."""
        self._task: asyncio.Task[None] | None = None
        self._threads = HandlerThreads(1)

    def close(self) -> None:
        """Ends all streams, now; further ones are refused."""
        self.closed = True
        self._wake()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        self.streams += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.streams -= 1

    @property
    def next(self) -> asyncio.Event:
        """Is set when there is something new, or the server ends. It is taken before the feed is looked at, so that
        nothing can happen in between."""
        return self._changed

    async def _run(self) -> None:
        try:
            while self.streams and not self.closed:
                await self._look()
                if self._told != self.follower.feed.newest:
                    self._told = self.follower.feed.newest
                    self._wake()
                await asyncio.sleep(self._look_s)
        finally:
            self._task = None

    async def _look(self) -> None:
        """A look that fails is told to the log, and the next one may succeed: pages must not wait for ever."""
        try:
            await self._threads.run(lambda: self.follower.look(self._look_s / 2))
        except Exception:
            LOGGER.exception("the runs folder could not be looked at")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventStream(Response):
    """The answer to one page. `cursor` is where it left off; None: it begins now, -1: nobody knows."""

    def __init__(self, pulse: Pulse, cursor: int | None) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._pulse = pulse
        self._cursor = cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pulse.streams >= MOST_STREAMS or self._pulse.closed:
            raise Problem(429, "streams", f"{self._pulse.streams} pages listen", headers={"retry-after": "10"})
        async with self._pulse.listening():
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._stream(receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Until the page leaves or the server ends."""
        left = asyncio.create_task(_left(receive))
        try:
            data = f"retry: {RETRY_MS}\nid: {self._pulse.follower.feed.newest}\n\n".encode()
            if self._cursor is None:
                self._cursor = self._pulse.follower.feed.newest
            while not left.done() and not self._pulse.closed:
                changed = asyncio.create_task(self._pulse.next.wait())
                data += self._news()
                await send({"type": "http.response.body", "body": data or b":\n\n", "more_body": True})
                await asyncio.wait({left, changed}, timeout=self._pulse.comment_s, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                data = b""
        finally:
            left.cancel()

    def _news(self) -> bytes:
        since = self._pulse.follower.feed.since(self._cursor or 0)
        self._cursor = since.cursor
        return frames(since.events if since.complete else everything(since.cursor))


def frames(events: Iterable[Invalidation]) -> bytes:
    """One block an event."""
    return b"".join(b"id: %d\ndata: %s\n\n" % (event.cursor, canonical_json(event._asdict())) for event in events)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
