"""The server around the application: it listens on loopback, opens at once, and leaves within seconds.

build_app(bench, site)   the application behind its door and the guard, without a socket
serve_forever(...)       until SIGTERM or Ctrl-C; streams end at once, other answers have two seconds
"""

from __future__ import annotations

import socket
import threading
from types import FrameType
from typing import NamedTuple

from starlette.types import ASGIApp

from picochat.core.errors import refuse
from picochat.core.jsonio import canonical_json
from picochat.webguard.app import GuardedApp
from picochat.webguard.guard import Answer, Guard
from picochat.webguard.limits import Code, Limits, Refusal
from picochat.webguard.server import GuardedServer, listen
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.door.access import Access, label, new_request_id
from picochat.workbench.problems import CONTENT_TYPE, Problem
from picochat.workbench.routing import Router
from picochat.workbench.served import served_routes
from picochat.workbench.site import Site, load_site

LAST_WORDS_S = 1
LIMITS = Limits(unread_s=20.0)
"""A page that reads nothing of its stream for so long has gone, whatever the network says."""
STATUS_OF: dict[Code, int] = {
    "invalid_value": 400,
    "origin_not_allowed": 403,
    "request_timeout": 408,
    "request_too_large": 413,
    "host_not_allowed": 421,
    "queue_full": 429,
    "headers_too_large": 431,
    "internal_error": 500,
}
FIXES: dict[Code, str] = {
    "host_not_allowed": 'a name of your own is listed: picochat web --set web.allowed_hosts=["NAME"]',
    "origin_not_allowed": 'a proxy that ends TLS is listed: picochat web --set web.allowed_origins=["https://NAME"]',
}


class WebApp(NamedTuple):
    """The application behind its guard, whose protocol the server uses."""

    app: ASGIApp
    guard: Guard


def build_app(bench: Workbench, site: Site, limits: Limits = LIMITS) -> WebApp:
    """Everything but the socket."""
    router = Router(served_routes(bench.config.read_only))
    hosts, origins = bench.config.allowed_hosts, bench.config.allowed_origins
    guard = Guard(limits, answer_of, hosts, origins, own_pages=True)
    door = Access(Application(bench, site, router), bench.sessions, bench.config.prefix)
    return WebApp(GuardedApp(door, guard), guard)


def answer_of(refusal: Refusal) -> Answer:
    """What the guard refuses, in the form of every other refusal."""
    request_id = new_request_id()
    status = STATUS_OF[refusal.code]
    problem = Problem(status, refusal.code, refusal.message, fix=FIXES.get(refusal.code, ""))
    headers = label([(b"content-type", CONTENT_TYPE.encode())], request_id, page=False)
    body = canonical_json(problem.document(request_id))
    return Answer(status, {name.decode(): value.decode() for name, value in headers}, body)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `web.address`: the port is taken, or the host is none of this machine."""
    try:
        return listen(host, port)
    except OSError as err:
        refuse("web.address", f"{host} port {port} cannot be listened on: {err}")


class WebServer(GuardedServer):
    """Looks at the runs from its first moment, and ends the streams of all pages at once."""

    def __init__(self, bench: Workbench, web: WebApp) -> None:
        super().__init__(web.app, web.guard, LAST_WORDS_S)
        self._bench = bench

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends in good order, a second one at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What changes from now on is known to whoever listens first, even if that is much later.
        threading.Thread(target=self._bench.follower.look, name="picochat-look", daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._bench.pulse.close()
        await super().shutdown(sockets)


def build_server(bench: Workbench, limits: Limits = LIMITS) -> WebServer:
    """A server that was not started yet."""
    return WebServer(bench, build_app(bench, load_site(), limits))


def serve_forever(listener: socket.socket, bench: Workbench) -> None:
    """Serves until a signal."""
    try:
        build_server(bench).run([listener])
    finally:
        bench.speakers.close()
