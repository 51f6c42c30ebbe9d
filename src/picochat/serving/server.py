"""The server around the application: it listens at once, loads the model beside it, and leaves in good order.

SIGTERM or SIGINT: new requests get 503, running answers have `serve.drain_s`, then they are ended; exit code 0. A
second signal ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from types import FrameType

from picochat.core.errors import refuse
from picochat.serving.app import ServingApp, build_app
from picochat.serving.served import Service, ServingState
from picochat.serving.settings import ServeConfig
from picochat.webguard.limits import Limits
from picochat.webguard.server import GuardedServer, listen

LOGGER = logging.getLogger("picochat.serving")
LAST_WORDS_S = 3
"""How long answers that were ended may take to say so."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `serve.address`: the port is taken, or the host is none of this machine."""
    try:
        return listen(host, port)
    except OSError as err:
        refuse("serve.address", f"{host} port {port} cannot be listened on: {err}")


class ServeServer(GuardedServer):
    """One thread loads the model beside the server; running answers end before it does."""

    def __init__(
        self,
        state: ServingState,
        serving: ServingApp,
        load: Callable[[], Service],
        drain_s: float,
        on_ready: Callable[[Service], None],
    ) -> None:
        super().__init__(serving.app, serving.guard, LAST_WORDS_S)
        self._state = state
        self._guard = serving.guard
        self._load = load
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._leave_by: float | None = None
        self.failure: BaseException | None = None

    def stop(self) -> None:
        """What the first signal does; may be called in the event loop."""
        self._state.drain()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._state.phase == "draining":
            self.should_exit = self.force_exit = True
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        threading.Thread(target=self._load_model, name="picochat-load", daemon=True).start()

    def _load_model(self) -> None:
        try:
            service = self._load()
            service.engine.start()
            self._state.ready(service)
            self._on_ready(service)
        except BaseException as err:  # whatever it is, the main thread says it and ends with its exit code
            self.failure = err
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._state.phase == "draining" and not self.should_exit:
            now = asyncio.get_running_loop().time()
            self._leave_by = self._leave_by or now + self._drain_s
            if self._guard.in_work == 0:
                self.should_exit = True
            elif now >= self._leave_by:
                LOGGER.info("%d answers are ended after %g s", self._guard.in_work, self._drain_s)
                await self._close_engine()
                self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._close_engine()

    async def _close_engine(self) -> None:
        if self._state.service is not None:
            await asyncio.to_thread(self._state.service.engine.close, 0.0)


def serve_forever(
    listener: socket.socket,
    load: Callable[[], Service],
    config: ServeConfig,
    *,
    key: str | None = None,
    on_ready: Callable[[Service], None] = lambda service: None,
    limits: Limits | None = None,
) -> None:
    """Serves until a signal. Raises what `load` raised."""
    server = build_server(load, config, key=key, on_ready=on_ready, limits=limits)
    server.run([listener])
    if server.failure is not None:
        raise server.failure


def build_server(
    load: Callable[[], Service],
    config: ServeConfig,
    *,
    key: str | None = None,
    on_ready: Callable[[Service], None] = lambda service: None,
    limits: Limits | None = None,
) -> ServeServer:
    """A server that was not started yet."""
    state = ServingState()
    serving = build_app(state, config, key, limits)
    return ServeServer(state, serving, load, config.drain_s, on_ready)
