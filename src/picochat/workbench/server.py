"""The server around the application: it listens on loopback, opens at once, and leaves within seconds."""

from __future__ import annotations

import socket

import uvicorn

from picochat.core.errors import refuse
from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import load_site

BACKLOG = 128
LAST_WORDS_S = 2
LAST_PORT = 65535


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `serve.address`: the port is taken, or the host is none of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= LAST_PORT:
        refuse("serve.address", f"port {port} is outside of 0 to {LAST_PORT}")
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as err:
        refuse("serve.address", f"{host} port {port} cannot be listened on: {err}")


def serve_forever(listener: socket.socket, bench: Workbench) -> None:
    """Serves until a signal."""
    app = Application(bench, load_site(), Router(ROUTES))
    config = uvicorn.Config(
        app,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=LAST_WORDS_S,
    )
    uvicorn.Server(config).run([listener])
