"""A proxy that serves what lies behind it under a prefix, as JupyterHub does, and that can lose the stream on purpose.

with proxied(url) as proxy:    proxy.url is http://127.0.0.1:PORT/user/x/proxy/8765/
proxy.mode = "open"            everything passes
proxy.mode = "buffering"       a stream is accepted and none of its bytes arrives, as where a proxy waits for the end
proxy.mode = "down"            every connection is closed without an answer
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PREFIX = "/user/x/proxy/8765"
STREAM = "text/event-stream"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}
PIECE_BYTES = 65_536
NAP_S = 0.05


class Proxy(ThreadingHTTPServer):
    """Listens on a free port. `asked` are the paths below the prefix, in order; `strays` those beside it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.upstream = urlsplit(upstream).netloc
        self._mode = "open"
        self._following: set[socket.socket] = set()
        self.asked: list[str] = []
        self.strays: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PREFIX}/"

    @property
    def streams(self) -> int:
        """How many are open at this moment."""
        return len(self._following)

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode
        if mode == "down":
            for behind in list(self._following):
                with suppress(OSError):
                    behind.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def following(self, behind: socket.socket) -> Iterator[None]:
        """A stream, for as long as it lasts."""
        self._following.add(behind)
        try:
            yield
        finally:
            self._following.discard(behind)


class Passing(BaseHTTPRequestHandler):
    """One request: its path loses the prefix, everything else stays."""

    server: Proxy

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""

    def _pass(self) -> None:
        self.close_connection = True
        if self.server.mode == "down":
            return
        if self.path == PREFIX:
            self.send_response(308)
            self.send_header("location", PREFIX + "/")
            self.end_headers()
            return
        if not self.path.startswith(PREFIX + "/"):
            self.server.strays.append(self.path)
            self.send_error(404)
            return
        self.server.asked.append(self.path[len(PREFIX) :])
        with suppress(OSError, http.client.HTTPException):
            self._exchange(self.path[len(PREFIX) :])

    def _exchange(self, path: str) -> None:
        behind = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
            behind.request(self.command, path, body or None, headers)
            answer = behind.getresponse()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in HOP_BY_HOP:
                    self.send_header(key, value)
            self.end_headers()
            if (answer.getheader("content-type") or "").startswith(STREAM):
                self._follow(behind, answer)
            else:
                self.wfile.write(answer.read())
        finally:
            behind.close()

    def _follow(self, behind: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        """Passes a stream on until a side ends, the proxy goes down, or it begins to hold bytes back."""
        with self.server.following(behind.sock):
            while piece := answer.read1(PIECE_BYTES):
                while self.server.mode == "buffering":
                    time.sleep(NAP_S)
                self.wfile.write(piece)
                self.wfile.flush()


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy in front of a server, closed after use."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.mode = "down"
        proxy.shutdown()
        proxy.server_close()
        thread.join(5)
