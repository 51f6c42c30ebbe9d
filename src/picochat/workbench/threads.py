"""The threads in which handlers read files: a few, and none that keeps the process from ending.

The pools of asyncio and anyio are waited for at the end of the process; a handler that reads a slow disk, or waits for
a command, would hold up Ctrl-C with them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 16


class HandlerThreads:
    """Starts threads as they are needed. Only the event loop calls `run`."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._started = 0
        self._busy = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, from another thread. Whoever is cancelled meanwhile leaves it to itself."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._busy += 1
        if self._busy > self._started and self._started < self._most:
            self._started += 1
            threading.Thread(target=self._serve, name="picochat-handler", daemon=True).start()
        self._work.put((work, future))
        return await future

    def _serve(self) -> None:
        while True:
            work, future = self._work.get()
            try:
                result, error = work(), None
            except BaseException as err:  # it is raised where the work was asked for
                result, error = None, err
            try:
                future.get_loop().call_soon_threadsafe(self._settle, future, result, error)
            except RuntimeError:
                return  # the loop has ended, and with it whoever asked

    def _settle(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
