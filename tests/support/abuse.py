"""What hostile, broken and careless clients send: bytes, and the refusals that are right for them.

CASES       name -> (bytes, status): each is answered at once, in the envelope
Staller     clients that begin a request and never end it
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, NamedTuple

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
COMPLETE, CHAT = b"/v1/completions", b"/v1/chat/completions"
MIB = 1024 * 1024
TEXT_PART = {"type": "text", "text": "a"}


class Case(NamedTuple):
    data: bytes
    status: int


def post(body: bytes, path: bytes = COMPLETE, head: bytes = JSON, host: bytes = HOST, framing: bytes = b"") -> bytes:
    framing = framing or b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + host + head + framing + b"Connection: close\r\n\r\n" + body


def get(path: bytes = b"/v1/models", head: bytes = b"", host: bytes = HOST, method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + host + head + b"Connection: close\r\n\r\n"


def build_cases(model: str) -> dict[str, Case]:
    """At least 45; every one is a mistake or an attack."""

    def complete(**fields: Any) -> bytes:
        return post(json.dumps({"model": model, "prompt": "a", **fields}).encode())

    def chat(**fields: Any) -> bytes:
        body = {"model": model, "messages": [{"role": "user", "content": "a"}], **fields}
        return post(json.dumps(body).encode(), CHAT)

    def raw(text: bytes) -> bytes:
        return post(b'{"model": "%s", "prompt": "a", %s}' % (model.encode(), text))

    chunked = b"Transfer-Encoding: chunked\r\n"
    deep = b'{"model": ' + b"[" * 200_000
    wide = b'{"model":"x","prompt":[' + b"0," * 450_000 + b"0]}"
    return {
        # HTTP
        "no http": Case(b"\x00\xff\x00\xff\r\n\r\n", 400),
        "a tls hello": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(200), 400),
        "http 2": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "no host": Case(b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
        "two hosts": Case(get(host=HOST * 2), 400),
        "an absolute target": Case(get(b"http://evil.example/v1/models"), 400),
        "a tunnel": Case(get(b"evil.example:443", method=b"CONNECT"), 400),
        "a header without a colon": Case(get(head=b"nonsense\r\n"), 400),
        "nul in a header": Case(get(head=b"A: \x00\r\n"), 400),
        "a header of 70 KB": Case(get(head=b"A: " + b"x" * 70_000 + b"\r\n"), 431),
        "two thousand headers": Case(get(head=b"A: b\r\n" * 4000), 431),
        "a path of 20 KB": Case(get(b"/" + b"a" * 20_000), 431),
        "a body of 1 MB and a byte": Case(post(b"x" * (MIB + 1)), 413),
        "a body of a terabyte, announced": Case(post(b"", framing=b"Content-Length: 1099511627776\r\n"), 413),
        "a chunk of a terabyte": Case(post(b"10000000000\r\n" + b"x" * (MIB + MIB // 8), framing=chunked), 413),
        "a length and chunks": Case(post(b"0\r\n\r\n", framing=b"Content-Length: 5\r\n" + chunked), 400),
        "two lengths": Case(post(b"{}", framing=b"Content-Length: 2\r\nContent-Length: 3\r\n"), 400),
        "a negative length": Case(post(b"", framing=b"Content-Length: -5\r\n"), 400),
        "chunks of no size": Case(post(b"xyz\r\n", framing=chunked), 400),
        # whose request it is
        "another host": Case(get(host=b"Host: evil.example\r\n"), 421),
        "a host with a tail": Case(get(host=b"Host: localhost.evil.example\r\n"), 421),
        "a foreign page": Case(get(head=b"Origin: https://evil.example\r\n"), 403),
        "a page without a name": Case(get(head=b"Origin: null\r\n"), 403),
        "a preflight of a foreign page": Case(get(head=b"Origin: http://a.b\r\n", method=b"OPTIONS"), 403),
        "a form": Case(post(b"a=b", head=b"Content-Type: application/x-www-form-urlencoded\r\n"), 415),
        "plain text": Case(post(b"{}", head=b"Content-Type: text/plain\r\n"), 415),
        "a packed body": Case(post(b"\x1f\x8b", head=JSON + b"Content-Encoding: gzip\r\n"), 415),
        # paths and methods
        "a path that leads up": Case(get(b"/v1/../../etc/passwd"), 404),
        "a path in disguise": Case(get(b"/%2e%2e/%2e%2e/etc/passwd"), 404),
        "a file": Case(get(b"/v1/models/..%2f..%2frun.json"), 404),
        "a method that is none": Case(get(method=b"BREW"), 405),
        "a write on a list": Case(get(method=b"DELETE"), 405),
        # JSON
        "no json": Case(post(b"{"), 400),
        "a list": Case(post(b"[]"), 400),
        "200,000 brackets": Case(post(deep), 400),
        "17 levels": Case(raw(b'"metadata": ' + b'{"a":' * 16 + b"1" + b"}" * 16), 400),
        "a doubled key": Case(raw(b'"n": 1, "n": 2'), 400),
        "NaN": Case(raw(b'"temperature": NaN'), 400),
        "a number too large": Case(raw(b'"temperature": 1e999'), 400),
        "half a surrogate pair": Case(raw(b'"user": "\\ud800"'), 400),
        "nul": Case(raw(b'"user": "\\u0000"'), 400),
        "no utf-8": Case(raw(b'"user": "\xff"'), 400),
        "450,000 ids": Case(post(wide), 404),
        # numbers and sizes
        "a million tokens": Case(complete(max_tokens=10**6), 400),
        "an endless number of tokens": Case(complete(max_tokens=10**30), 400),
        "a thousand choices": Case(complete(n=1000), 400),
        "129 draws": Case(complete(prompt=["a"] * 43, n=3), 400),
        "1000 prompts": Case(complete(prompt=["a"] * 1000), 400),
        "a prompt of half a megabyte": Case(complete(prompt="ab c" * 131_072), 400),
        "a prompt of one letter half a million times": Case(complete(prompt="a" * 500_000), 400),
        "half a million spaces": Case(complete(prompt=" " * 500_000), 400),
        "an id beyond the vocabulary": Case(complete(prompt=[10**6]), 400),
        "a negative id": Case(complete(prompt=[-1]), 400),
        "five stops": Case(complete(stop=list("abcde")), 400),
        "a long stop": Case(complete(stop="x" * 100_000), 400),
        "a thousand biases": Case(complete(logit_bias={str(k): 1 for k in range(1000)}), 400),
        "a thousand log-probabilities": Case(complete(logprobs=1000), 400),
        "a temperature of minus one": Case(complete(temperature=-1), 400),
        "another model": Case(complete(model="gpt-4"), 404),
        "a field that is none": Case(complete(system_prompt="x"), 400),
        "no messages": Case(chat(messages=[]), 400),
        "a thousand messages": Case(chat(messages=[{"role": "user", "content": "a"}] * 1000), 400),
        "a role that is none": Case(chat(messages=[{"role": "root", "content": "a"}]), 400),
        "a thousand parts": Case(
            chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}] * 1000}]), 400
        ),
        "a picture": Case(chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]), 400),
        "a tool": Case(chat(tools=[{"type": "function"}]), 400),
    }


STALLED = (
    b"",
    b"POST /v1/comp",
    b"GET /v1/models HTTP/1.1\r\nHost: local",
    post(b"", framing=b"Content-Length: 1000\r\n"),
    post(b"x" * 200_000, framing=b"Content-Length: 1000000\r\n"),
    post(b"5\r\nab", framing=b"Transfer-Encoding: chunked\r\n"),
)


class Staller:
    """Keeps `count` clients stalled: whoever is closed by the server comes again."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._socks: list[socket.socket | None] = [None] * count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.begun = 0

    def __enter__(self) -> Staller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for sock in self._socks:
            if sock is not None:
                sock.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for place, sock in enumerate(self._socks):
                if sock is None or _was_closed(sock):
                    if sock is not None:
                        sock.close()
                    self._socks[place] = self._begin(place)
            self._stop.wait(0.2)

    def _begin(self, place: int) -> socket.socket | None:
        sock = socket.socket()
        sock.settimeout(2)
        try:
            sock.connect(("127.0.0.1", self._port))
            sock.setblocking(False)
            if data := STALLED[place % len(STALLED)]:
                sock.send(data)
        except OSError:
            sock.close()
            return None
        self.begun += 1
        return sock


def _was_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def half_read(port: int, body: bytes) -> socket.socket:
    """A client that asks for a long stream, reads a little of it, and then no more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", port))
    sock.sendall(post(body))
    sock.recv(1024)
    return sock
