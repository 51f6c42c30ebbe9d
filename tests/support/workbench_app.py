"""The workbench without a socket: requests go to the application, answers come back as documents."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site


class Desk:
    """A bench on a folder of runs, and its answers."""

    def __init__(self, runs: Path) -> None:
        self.bench = Workbench(runs)
        self._app = Application(self.bench, Site("0", b"", {}), Router(ROUTES))

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, f"/{path}", json=body)

        return asyncio.run(go())

    def get(self, path: str) -> Any:
        """The document of a good answer."""
        response = self.ask("GET", path)
        assert response.status_code == 200, response.text
        return response.json()
