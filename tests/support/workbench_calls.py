"""Requests to the workbench's application without a socket and without a door: `ask(bench, "GET", "/api/runs")`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

LOGIN = "me"


def ask(bench: Workbench, method: str, path: str, body: Any = None, login: str = LOGIN) -> httpx.Response:
    """One request of somebody who is logged in; a POST without a body sends an empty document."""
    app = Application(bench, Site("0" * 16, b"", {}), Router(ROUTES))

    async def logged_in(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "picochat_login": login}, receive, send)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(logged_in)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            sent = {"json": {} if body is None else body} if method == "POST" else {}
            return await client.request(method, path, **sent)

    return asyncio.run(send())
