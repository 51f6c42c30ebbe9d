"""A real server on a real socket, in a thread of the test: what clients see, without a process to start."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tests.support.chat_run import build_tokenizer

from picochat.judgement.served_verdict import ServedVerdict
from picochat.serving.served import ServedModel, Service
from picochat.serving.server import ServeServer, bind, build_server
from picochat.serving.settings import ServeConfig
from picochat.serving.worker import Engine
from picochat.tokenizer.codec import Codec, PicochatCodec
from picochat.webguard.limits import Limits

MODEL = "tiny-1-sft"
DIGEST = "3f" * 32
CONTEXT = 96


def tiny_codec() -> PicochatCodec:
    return PicochatCodec(build_tokenizer()[1])


def served_model(codec: Codec, **changed: Any) -> ServedModel:
    facts: dict[str, Any] = {
        "id": MODEL,
        "created": 1_700_000_000,
        "run": "tiny-1",
        "stage": "sft",
        "step": 16,
        "weights_digest": DIGEST,
        "verdict": ServedVerdict("approved", "research/3", "gate.json judged exactly these weights"),
        "max_model_len": CONTEXT,
        "codec": codec,
    }
    return ServedModel(**facts | changed)


@dataclass
class Served:
    """A running server."""

    port: int
    server: ServeServer
    engine: Any
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def complete(self, prompt: Any = "the cat", **fields: Any) -> httpx.Response:
        return self.post("/v1/completions", {"model": MODEL, "prompt": prompt, **fields})

    def chat(self, text: str = "Spell cat.", **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"model": MODEL, "messages": messages, **fields})

    def raw(self, data: bytes, timeout_s: float = 5.0) -> bytes:
        """What the server answers to bytes, up to the end of the connection or of the patience."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as sock:
            sock.sendall(data)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except (TimeoutError, ConnectionError):
        pass
    return b"".join(parts)


def events(text: str) -> list[Any]:
    """The documents of a stream; the last one is the word [DONE]."""
    blocks = [block for block in text.split("\n\n") if block]
    assert all(block.startswith("data: ") for block in blocks), blocks
    return [block if (block := raw[6:]) == "[DONE]" else json.loads(block) for raw in blocks]


@contextmanager
def serving(
    engine: Engine,
    codec: Codec,
    *,
    key: str | None = None,
    limits: Limits | None = None,
    load: Callable[[], Service] | None = None,
    config: ServeConfig | None = None,
    send_buffer: int = 0,
    **changed: Any,
) -> Iterator[Served]:
    """A server of a fake or real engine, until the block ends."""
    service = Service(served_model(codec, **changed), engine)
    ready = threading.Event()
    server = build_server(
        load or (lambda: service),
        config or ServeConfig(),
        key=key,
        limits=limits,
        on_ready=lambda service: ready.set(),
    )
    listener = bind("127.0.0.1", 0)
    if send_buffer:  # Or the kernel takes megabytes of an answer that nobody reads.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    if load is None:
        assert ready.wait(10), server.failure
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield Served(port, server, engine, client)
    server.should_exit = server.force_exit = True
    thread.join(20)
    assert not thread.is_alive()


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> bool:
    """Whether something came true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
