"""An ASGI application asked without a socket: one request, the whole answer.

ask(app, "GET", "/api/runs", host="127.0.0.1:8765") -> Told
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

HOST = "127.0.0.1:8765"
OWN = f"http://{HOST}"


@dataclass
class Told:
    """An answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> tuple[int, str]:
        """(status, code) of a refusal, after a look at the whole problem document."""
        document = self.document
        assert self.headers["content-type"] == "application/problem+json"
        assert document.keys() == {"type", "title", "status", "detail", "code", "why", "fix", "request_id"}
        assert document["status"] == self.status and document["request_id"] == self.headers["x-request-id"]
        return self.status, document["code"]


def ask(app: Any, method: str, target: str, headers: Any = (), body: bytes = b"", limit_s: float = 60.0) -> Told:
    """`headers` are pairs or a mapping; Host is added where they have none. Raises TimeoutError."""
    pairs: Sequence[tuple[str, str]] = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs = [("host", HOST), *pairs]
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8765),
    }
    return asyncio.run(asyncio.wait_for(_run(app, scope, body), limit_s))


async def _run(app: Any, scope: dict[str, Any], body: bytes) -> Told:
    told, asked = Told(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert told.status == 0, "an answer began twice"
            told.status = message["status"]
            told.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            assert len(told.headers) == len(message["headers"]), message["headers"]
        else:
            told.body += message.get("body", b"")

    await app(scope, receive, send)
    return told
