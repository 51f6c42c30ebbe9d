"""Connections that stall, flood or speak no HTTP, against a real server with small limits."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
from tests.support.fake_engine import FakeEngine, says
from tests.support.served import MODEL, Served, read_all, serving, tiny_codec, until

from picochat.webguard.limits import Limits

LIMITS = Limits(
    header_bytes=2048,
    body_bytes=10_000,
    pending_bytes=30_000,
    read_s=0.3,
    idle_s=0.25,
    unread_s=0.3,
    linger_s=0.3,
    sockets=12,
    requests=3,
)
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    codec = tiny_codec()
    with serving(FakeEngine(says(codec, " sat on the mat")), codec, limits=LIMITS, send_buffer=8192) as served:
        yield served


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def error_of(answer: bytes) -> tuple[int, str]:
    """(status, code) of an answer that is one envelope, after which the server hung up."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), answer[:200]
    assert b"connection: close" in head.lower()
    return status_of(answer), json.loads(body)["error"]["code"]


def post(body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /v1/completions HTTP/1.1\r\n" + HOST + JSON + b"".join(headers or (length,)) + b"\r\n" + body


def request(**fields: object) -> bytes:
    return json.dumps({"model": MODEL, "prompt": "a", **fields}).encode()


def chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


BROKEN = {
    "no http": b"nonsense\r\n\r\n",
    "a tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 1.9": b"GET /healthz HTTP/1.9\r\n" + HOST + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
    "an absolute target": b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT evil:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in a name": b"GET /healthz HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r A: b\r\n\r\n",
    "nul in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: \0\r\n\r\n",
    "a negative length": post(b"", b"Content-Length: -1\r\n"),
    "a length in words": post(b"", b"Content-Length: ten\r\n"),
    "two lengths": post(b"ab", b"Content-Length: 1\r\nContent-Length: 2\r\n"),
    "a length and chunks": post(chunked(b"{}"), b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
    "chunks of no size": post(b"zz\r\n", b"Transfer-Encoding: chunked\r\n"),
    "another framing": post(b"", b"Transfer-Encoding: gzip, chunked\r\n"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_http_is_answered_in_the_envelope(server: Served, data: bytes):
    assert error_of(server.raw(data)) == (400, "invalid_value")


@pytest.mark.parametrize("pieces", [1, 20], ids=["at once", "bit by bit"])
@pytest.mark.parametrize("kind", [b"A: %s\r\n", b"A:%s b\r\n"], ids=["value", "white space"])
def test_a_long_header_is_refused_however_it_comes(server: Served, pieces: int, kind: bytes):
    fill = (b"x" if kind.startswith(b"A: ") else b" ") * 3000
    data = b"GET /healthz HTTP/1.1\r\n" + HOST + kind % fill + b"\r\n"
    size = len(data) // pieces
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        for at in range(0, len(data), size):
            sock.sendall(data[at : at + size])
        assert error_of(read_all(sock)) == (431, "headers_too_large")


def test_a_header_within_the_limit_passes(server: Served):
    data = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\nA: " + b"x" * 1900 + b"\r\n\r\n"
    assert status_of(server.raw(data)) == 200


TOO_LONG = {
    "announced": post(b"", b"Content-Length: 10001\r\n"),
    "announced beyond reason": post(b"", b"Content-Length: 99999999999999999999\r\n"),
    "in chunks": post(chunked(b"x" * 10_001), b"Transfer-Encoding: chunked\r\n"),
    "in one chunk that never ends": post(b"ffffff\r\n" + b"x" * 12_000, b"Transfer-Encoding: chunked\r\n"),
    "with patience": post(b"", b"Content-Length: 20000\r\nExpect: 100-continue\r\n"),
    "sent all the same": post(b"x" * 200_000),
}


@pytest.mark.parametrize("data", TOO_LONG.values(), ids=TOO_LONG)
def test_a_body_that_is_too_long_is_refused(server: Served, data: bytes):
    began = time.monotonic()
    answer = server.raw(data)
    assert error_of(answer) == (413, "request_too_large")
    assert time.monotonic() - began < 1


def test_tiny_chunks_with_long_names_are_counted_by_what_they_cost(server: Served):
    data = post((b"1;" + b"n" * 1000 + b"\r\nx\r\n") * 60, b"Transfer-Encoding: chunked\r\n")
    assert error_of(server.raw(data)) == (413, "request_too_large")


@pytest.mark.parametrize("framing", ["length", "chunks", "patience"])
def test_bodies_within_the_limit_are_read(server: Served, framing: str):
    body = request(max_tokens=1)
    close = b"Connection: close\r\n"
    if framing == "chunks":
        answer = server.raw(post(chunked(body, 7), b"Transfer-Encoding: chunked\r\n", close))
    elif framing == "length":
        answer = server.raw(post(body, b"Content-Length: %d\r\n" % len(body), close))
    else:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
            sock.sendall(post(b"", b"Content-Length: %d\r\n" % len(body), b"Expect: 100-continue\r\n", close))
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
            sock.sendall(body)
            answer = read_all(sock)
    assert status_of(answer) == 200


STALLED = {
    "half a line": b"POST /v1/comp",
    "half a header": b"GET /healthz HTTP/1.1\r\nHost: local",
    "no body": post(b"", b"Content-Length: 10\r\n"),
    "half a body": post(b"12345", b"Content-Length: 10\r\n"),
    "half a chunk": post(b"a\r\n12345", b"Transfer-Encoding: chunked\r\n"),
    "no last chunk": post(b"1\r\n1\r\n", b"Transfer-Encoding: chunked\r\n"),
}


@pytest.mark.parametrize("data", STALLED.values(), ids=STALLED)
def test_a_request_that_does_not_end_is_timed_out(server: Served, data: bytes):
    began = time.monotonic()
    assert error_of(server.raw(data)) == (408, "request_timeout")
    assert 0.2 < time.monotonic() - began < 2


def test_a_request_bit_by_bit_has_no_longer(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        for byte in b"GET /healthz HTTP/1.1":
            try:
                sock.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.03)
        assert status_of(read_all(sock)) in (408, 0)


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"], ids=["new", "after one"])
def test_an_idle_connection_is_closed_without_a_word(server: Served, before: bytes):
    began = time.monotonic()
    answer = server.raw(before)
    assert status_of(answer) == (200 if before else 0) and answer.count(b"HTTP/1.1") <= 1
    assert 0.2 < time.monotonic() - began < 2


def test_requests_one_after_the_other_on_one_connection(server: Served):
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    assert server.raw(one * 3 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).count(b"HTTP/1.1 200") == 4
    mixed = server.raw(one + post(request(max_tokens=1)) + b"garbage\r\n\r\n")
    assert mixed.count(b"HTTP/1.1 200") == 2 and mixed.count(b"HTTP/1.1 400") == 1


def test_what_comes_after_the_last_request_does_not_hurt_its_answer(server: Served):
    closing = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    assert server.raw(closing + b"garbage" * 10).count(b"HTTP/1.1 200") == 1


def test_stalled_clients_do_not_lock_others_out(server: Served):
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
    for sock in stalled:
        sock.sendall(b"GET /heal")
    began = time.monotonic()
    assert server.client.get("/healthz").status_code == 200
    assert time.monotonic() - began < 1
    for sock in stalled:
        sock.close()


def test_unfinished_bodies_hold_little_memory(server: Served):
    socks = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    for sock in socks:
        sock.sendall(post(b"x" * 9000, b"Content-Length: 9999\r\n"))
    guard = server.server.config.http.guard
    assert until(lambda: guard.pending_bytes > 0)
    assert guard.pending_bytes <= LIMITS.pending_bytes
    for sock in socks:
        sock.close()
    assert until(lambda: guard.pending_bytes == 0)
    assert server.client.get("/healthz").status_code == 200


def test_more_requests_than_may_be_in_work_are_told_to_come_again(server: Served):
    codec = tiny_codec()
    server.engine.script = says(codec, " sat on the mat", wait_s=0.05)
    socks = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(3)]
    for sock in socks:
        sock.sendall(post(request(stream=True)))
    guard = server.server.config.http.guard
    assert until(lambda: guard.in_work == 3)
    answer = server.client.get("/healthz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
    assert answer.headers["retry-after"]
    for sock in socks:
        assert b"data: [DONE]" in read_all(sock)
        sock.close()
    assert until(lambda: guard.in_work == 0)
    server.engine.script = says(codec, " sat on the mat")


def test_a_long_stream_is_not_cut_by_deadlines(server: Served):
    server.engine.script = says(tiny_codec(), " sat on the mat", wait_s=0.06)
    began = time.monotonic()
    text = server.complete(stream=True).text
    assert "[DONE]" in text and time.monotonic() - began > LIMITS.read_s
    server.engine.script = says(tiny_codec(), " sat on the mat")


def test_a_client_that_reads_nothing_is_let_go(server: Served):
    """Its answer lies in memory until then; the slot came free long before."""
    server.engine.script = says(tiny_codec(), " sat on the mat", repeat=8)
    body = request(max_tokens=90, stream=True, logprobs=20, n=16, user="u")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(post(body))
        guard = server.server.config.http.guard
        assert until(lambda: guard.in_work == 1)
        assert until(lambda: server.engine.stats().busy_slots == 0)
        assert guard.in_work == 1, "it lies in memory now"
        assert until(lambda: guard.in_work == 0, limit_s=5)
    server.engine.script = says(tiny_codec(), " sat on the mat")
