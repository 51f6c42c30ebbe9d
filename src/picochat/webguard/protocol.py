"""uvicorn's HTTP/1.1 protocol with deadlines, sizes and a cap, and without answers in plain text.

uvicorn starts its time-outs after the first request: a connection that sends nothing, half a header or half a body
stays open for ever, a header that comes in one piece may have any size, and broken HTTP is answered in plain text. Here
a connection is in one of four phases:

    idle      owes a request; closed without a word after `idle_s`
    reading   has sent a byte of one; refused after `read_s`, or at the first byte too many
    working   its request is complete and with the application; never cut, unless it reads nothing for `unread_s`
    leaving   was refused; what it still sends is thrown away for `linger_s`
"""

from __future__ import annotations

import asyncio
import http
from typing import Any, Literal, cast
from urllib.parse import unquote

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from picochat.webguard.app import send_answer
from picochat.webguard.guard import Guard
from picochat.webguard.limits import Refusal

Phase = Literal["idle", "reading", "working", "leaving"]
VERSIONS = (b"1.0", b"1.1")
TOO_LARGE_HEADERS = 431
WIRE_FACTOR = 3
"""A chunked body may be this much longer on the wire than its content."""


class _Cycle(RequestResponseCycle):
    """One request and its answer."""

    guard: Guard

    async def send_500_response(self) -> None:
        """What an application lets slip leaves in its own form, not in plain text."""
        refusal = Refusal("internal_error", "internal error")
        await send_answer(self.guard.answer(refusal), self.send)  # type: ignore[arg-type]


class GuardedProtocol(H11Protocol):
    """One connection. Made by `build_protocol`, which sets the guard."""

    guard: Guard

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.phase: Phase = "idle"
        self._since = 0.0
        self._received = 0
        self._request_began_at = 0
        self._body = bytearray()
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    # What the guard asks

    @property
    def incomplete_since(self) -> float | None:
        return None if self.phase == "working" else self._since

    @property
    def pending_bytes(self) -> int:
        return len(self._body) if self.phase == "reading" else 0

    def drop(self) -> None:
        self._forget_body()
        self.transport.abort()

    # What asyncio says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()
        self.guard.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_body()
        self._set_deadline(None)
        self._set_unread(None)
        self.guard.release(self)

    def data_received(self, data: bytes) -> None:
        if self.phase == "leaving" or self.transport.is_closing():
            return
        if self.phase == "working" and self.conn.their_state is not h11.DONE:
            return  # It said that it would send no more: whatever this is, the answer goes on.
        self._received += len(data)
        self.conn.receive_data(data)
        if self.phase == "idle":
            self._begin_reading()
        self.handle_events()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_unread(self.guard.limits.unread_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_unread(None)

    def shutdown(self) -> None:
        """Called when the server stops: an answer under way ends first."""
        if self.phase == "working" and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    # A request, event by event

    def handle_events(self) -> None:
        while self.phase != "leaving":
            try:
                event = self.conn.next_event()
            except h11.RemoteProtocolError as err:
                self._refuse_broken(err)
                return
            if event is h11.NEED_DATA:
                return
            if event is h11.PAUSED:
                self.flow.pause_reading()
                return
            if isinstance(event, h11.Request):
                self._take_head(event)
            elif isinstance(event, h11.Data):
                self._take_body(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._start_work()
                if self.conn.their_state is h11.MUST_CLOSE:
                    return
            else:
                return

    def _take_head(self, event: h11.Request) -> None:
        limits, headers = self.guard.limits, [(name.lower(), value) for name, value in event.headers]
        names = [name for name, _ in headers]
        size = self._consumed() - self._request_began_at
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        if size > limits.header_bytes:
            self._refuse(_headers_too_large(limits.header_bytes))
        elif event.http_version not in VERSIONS:
            self._refuse(_broken("its version is neither 1.0 nor 1.1"))
        elif not event.target.startswith(b"/"):
            self._refuse(_broken("its target is no path"))
        elif b"content-length" in names and b"transfer-encoding" in names:
            self._refuse(_broken("it has both a length and chunks"))
        elif int(length) > limits.body_bytes:
            self._refuse(_too_large(limits.body_bytes))
        else:
            self.headers = headers
            self.scope = self._build_scope(event)
            if self.conn.they_are_waiting_for_100_continue:
                self.transport.write(self.conn.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")

    def _take_body(self, data: bytes) -> None:
        limits = self.guard.limits
        self._body += data
        self.guard.hold(len(data))
        wire = self._received - self._request_began_at
        if self.phase != "reading" or self.transport.is_closing():
            return  # It was this one that had to make room.
        if len(self._body) > limits.body_bytes or wire > WIRE_FACTOR * limits.body_bytes:
            self._refuse(_too_large(limits.body_bytes))

    def _start_work(self) -> None:
        if self.transport.is_closing():
            return
        self.guard.free(len(self._body))
        self.phase = "working"
        self._set_deadline(None)
        self._request_began_at = self._consumed()
        cycle = _Cycle(
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        cycle.guard = self.guard
        cycle.body, self._body = self._body, bytearray()
        cycle.more_body = False
        cycle.message_event.set()
        self.cycle = cycle
        task = self.loop.create_task(cycle.run_asgi(cast(Any, self.app)))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._wait_for_request()
        self.flow.resume_reading()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
            if self._received > self._request_began_at:
                self._begin_reading()
                self.handle_events()

    # Phases

    def _wait_for_request(self) -> None:
        self.phase, self._since = "idle", self.loop.time()
        self._set_deadline(self.guard.limits.idle_s)

    def _begin_reading(self) -> None:
        self.phase = "reading"
        self._set_deadline(self.guard.limits.read_s)

    def _expire(self) -> None:
        if self.phase == "reading":
            read_s = self.guard.limits.read_s
            self._refuse(Refusal("request_timeout", f"the request was not complete after {read_s:g} s"))
        else:
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answers, stops writing, and goes on reading for a moment: a reset would take the answer away again."""
        self._forget_body()
        self.phase = "leaving"
        answer = self.guard.answer(refusal)
        headers = {**answer.headers, "content-length": str(len(answer.body)), "connection": "close"}
        head = [f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*head, "", ""]).encode("latin-1") + answer.body)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_deadline(self.guard.limits.linger_s)

    def _refuse_broken(self, err: h11.RemoteProtocolError) -> None:
        if self.phase == "working":
            return
        if err.error_status_hint == TOO_LARGE_HEADERS:
            self._refuse(_headers_too_large(self.guard.limits.header_bytes))
        else:
            self._refuse(_broken("its head or its framing is not as HTTP/1.1 asks"))

    def _forget_body(self) -> None:
        self.guard.free(self.pending_bytes)
        self._body = bytearray()

    def _consumed(self) -> int:
        """Bytes of this connection that belong to requests which were read."""
        return self._received - len(self.conn.trailing_data[0])

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _set_unread(self, seconds: float | None) -> None:
        if self._unread is not None:
            self._unread.cancel()
        self._unread = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _build_scope(self, event: h11.Request) -> Any:
        """The request as ASGI has it."""
        raw_path, _, query = event.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": event.http_version.decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": event.method.decode("ascii"),
            "root_path": self.root_path,
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }


def build_protocol(guard: Guard) -> type[GuardedProtocol]:
    """The protocol class of one server, for uvicorn's `http` setting.

    uvicorn's `h11_max_incomplete_event_size` is set to `limits.header_bytes` beside it.
    """
    return type("GuardedProtocol", (GuardedProtocol,), {"guard": guard})


def _broken(why: str) -> Refusal:
    return Refusal("invalid_value", f"this is no HTTP request that is understood: {why}")


def _too_large(limit: int) -> Refusal:
    return Refusal("request_too_large", f"the body is longer than {limit:,} bytes")


def _headers_too_large(limit: int) -> Refusal:
    return Refusal("headers_too_large", f"the request line and headers are longer than {limit:,} bytes")
