"""The guard around an ASGI application: whose request it is, and how many are in work.

The protocol (`webguard.protocol`) hands over complete requests of the right size; here they are turned away by name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from picochat.webguard.guard import Answer, Guard
from picochat.webguard.limits import Refusal

LOGGER = logging.getLogger("picochat.webguard")
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class GuardedApp:
    """Host, Origin and the number of requests in work; what the application lets slip is answered too."""

    def __init__(self, app: App, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the guard speaks HTTP, not {scope['type']}")
        refusal = self._guard.refusal(scope["headers"])
        if refusal is None and self._guard.in_work >= self._guard.limits.requests:
            refusal = Refusal("queue_full", f"{self._guard.in_work} requests are in work: ask again in a moment")
        if refusal is not None:
            await send_answer(self._guard.answer(refusal), send)
            return
        self._guard.in_work += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._guard.in_work -= 1


async def send_answer(answer: Answer, send: Send) -> None:
    """A whole answer by ASGI."""
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
