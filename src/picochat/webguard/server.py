"""uvicorn behind a guard: what the servers of this program have in common, from the socket to an orderly end."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn

from picochat.webguard.app import App
from picochat.webguard.guard import Guard
from picochat.webguard.protocol import build_protocol

BACKLOG = 128
LAST_PORT = 65535
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError: the port is taken or none, or the host is none of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= LAST_PORT:
        raise OSError(errno.EINVAL, f"a port lies in 0 to {LAST_PORT}")
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class GuardedServer(uvicorn.Server):
    """Speaks the guard's protocol; a signal that it has handled is not raised again after an orderly end.

    `last_words_s` is how long answers may still take once the server stops. What a signal does is `handle_exit`.
    """

    def __init__(self, app: App, guard: Guard, last_words_s: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=build_protocol(guard),
                h11_max_incomplete_event_size=guard.limits.header_bytes,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=last_words_s,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Called by uvicorn around its work; a server in another thread leaves signals alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
