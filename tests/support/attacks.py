"""What attacks the workbench: bytes on a socket, and the refusals that are right for them (bar E1).

ATTACKS   (group, name, build(target) -> bytes, statuses): each is refused with one of them
GOOD      the requests that differ from attacks by one thing, and are answered

A group is a list of rows, so another module adds its own: ATTACKS.extend([...]). `Target.known` is for what its rows
need to know of the server, such as the digest of a plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MIB = 1024 * 1024
PLAN = "0" * 64
JSON = "Content-Type: application/json"


@dataclass
class Target:
    """A running workbench and somebody who is logged in there."""

    port: int
    token: str
    cookie: str
    csrf: str
    run: str
    earlier_token: str = "none"
    """Of a start of the same port that has ended."""
    other_cookie: str = "none"
    """The value of a session that another server, on another port, holds open."""
    other_csrf: str = "none"
    launch: str = f"/api/plans/{PLAN}/launch"
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def cookie_name(self) -> str:
        return f"picochat-{self.port}"

    def lines(self, **changed: str | None) -> list[str]:
        """The header lines of a good write; None leaves one out, an underscore stands for a dash."""
        known: dict[str, str | None] = {
            "host": self.host,
            "origin": self.origin,
            "content_type": "application/json",
            "cookie": f"{self.cookie_name}={self.cookie}",
            "x_picochat_csrf": self.csrf,
        }
        return [
            f"{name.replace('_', '-')}: {value}" for name, value in {**known, **changed}.items() if value is not None
        ]

    def post(self, path: str = "", body: bytes = b"{}", framing: str = "", **changed: str | None) -> bytes:
        """A write that is good but for what is changed."""
        lines = [*self.lines(**changed), framing or f"content-length: {len(body)}"]
        return request("POST", path or self.launch, lines, body)

    def get(self, path: str, method: str = "GET", **changed: str | None) -> bytes:
        """A read that is good but for what is changed."""
        dropped: dict[str, str | None] = {"origin": None, "content_type": None, "x_picochat_csrf": None}
        return request(method, path, self.lines(**(dropped | changed)))


def request(method: str, path: str, lines: list[str], body: bytes = b"") -> bytes:
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "connection: close", "", ""])
    return head.encode("latin-1") + body


Build = Callable[[Target], bytes]


class Attack(NamedTuple):
    """One row: every status but these is a hole."""

    group: str
    name: str
    build: Build
    statuses: frozenset[int]


def rows(group: str, statuses: set[int], **builds: Build) -> list[Attack]:
    """Rows of one group; names are written with underscores."""
    return [Attack(group, name.replace("_", " "), build, frozenset(statuses)) for name, build in builds.items()]


def login(token: str) -> bytes:
    return json.dumps({"token": token}).encode()


CREDENTIAL = rows(
    "credential",
    {401},
    none=lambda t: t.post(cookie=None),
    wrong=lambda t: t.post(cookie=f"{t.cookie_name}={'A' * 43}"),
    empty=lambda t: t.post(cookie=f"{t.cookie_name}="),
    truncated=lambda t: t.post(cookie=f"{t.cookie_name}={t.cookie[:-1]}"),
    in_the_query_of_a_write=lambda t: t.post(f"{t.launch}?token={t.token}"),
    cookie_of_another_port=lambda t: t.post(cookie=f"{t.cookie_name}={t.other_cookie}", x_picochat_csrf=t.other_csrf),
    token_of_an_earlier_start=lambda t: t.post("/api/login", login(t.earlier_token), cookie=None),
)


def under(host: str) -> Build:
    """A write under another name; the page that asks says the same name."""
    return lambda t: t.post(host=f"{host}:{t.port}", origin=f"http://{host}:{t.port}")


HOST = [
    *rows(
        "Host",
        {421},
        another_name=under("evil.example"),
        own_name_in_front=under("127.0.0.1.evil.example"),
        localhost_in_front=under("localhost.evil.example"),
        mapped_address=under("[::ffff:127.0.0.1]"),
        any_address=under("0.0.0.0"),
        metadata_service=under("169.254.169.254"),
        trailing_dot=under("localhost."),
    ),
    *rows(
        "Host",
        {400, 421},
        missing=lambda t: t.post(host=None),
        doubled=lambda t: request("POST", t.launch, [*t.lines(), f"host: {t.host}", "content-length: 2"], b"{}"),
        absolute_request_line=lambda t: t.post(f"http://{t.host}{t.launch}"),
    ),
]
ORIGIN = rows(
    "Origin",
    {403},
    foreign=lambda t: t.post(origin="http://evil.example"),
    null=lambda t: t.post(origin="null"),
    other_port=lambda t: t.post(origin=f"http://127.0.0.1:{t.port + 1}"),
    https_for_http=lambda t: t.post(origin=f"https://{t.host}"),
    suffix=lambda t: t.post(origin=f"{t.origin}.evil.example"),
    doubled=lambda t: request("POST", t.launch, [*t.lines(), f"origin: {t.origin}", "content-length: 2"], b"{}"),
    absent_on_a_write=lambda t: t.post(origin=None),
    referer_only=lambda t: t.post(origin=None, referer=f"{t.origin}/"),
    cross_site=lambda t: t.post(sec_fetch_site="cross-site"),
    same_site=lambda t: t.post(sec_fetch_site="same-site"),
    no_cors=lambda t: t.post(sec_fetch_site="same-origin", sec_fetch_mode="no-cors"),
    stream_with_a_foreign_origin=lambda t: t.get(
        "/api/events", origin="http://evil.example", accept="text/event-stream"
    ),
)


def by(method: str, **more: str) -> Build:
    return lambda t: request(method, t.launch, [*t.lines(**more), "content-length: 0"])


METHOD = rows(
    "method",
    {405},
    **{method.lower(): by(method) for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")},
    override_header=by("GET", x_http_method_override="POST", x_method_override="POST", x_http_method="POST"),
)
CHUNKED = "transfer-encoding: chunked"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
BODY = [
    *rows(
        "body",
        {415},
        form=lambda t: t.post(body=b"cap=430.00", content_type=FORM),
        plain_text=lambda t: t.post(content_type="text/plain"),
        multipart=lambda t: t.post(body=b"--x--\r\n", content_type=MULTIPART),
    ),
    *rows(
        "body",
        {400},
        doubled_keys=lambda t: t.post(body=b'{"cap": "1.00", "cap": "9999.00"}'),
        nan=lambda t: t.post(body=b'{"cap": NaN}'),
        depth=lambda t: t.post(body=b'{"cap": ' + b"[" * 100_000),
        length_with_chunks=lambda t: t.post(body=b"2\r\n{}\r\n0\r\n\r\n", framing=f"{CHUNKED}\r\ncontent-length: 2"),
    ),
    *rows(
        "body",
        {413},
        a_megabyte_and_a_byte=lambda t: t.post(body=b" " * (MIB + 1)),
        a_megabyte_and_a_byte_in_chunks=lambda t: t.post(
            body=b"%x\r\n" % (MIB + 1) + b" " * (MIB + 1) + b"\r\n0\r\n\r\n", framing=CHUNKED
        ),
    ),
]
SYMLINK, PIPE, PIPED = "linked-out", "piped", "piped-status"
"""Folders that the target's runs hold: a link to a run elsewhere, a pipe, a folder whose status is a pipe."""


def named(name: str, rest: str = "") -> Build:
    return lambda t: t.get(f"/api/runs/{name}{rest}")


NAMES = rows(
    "name",
    {404},
    command=named("$(id)"),
    backtick=named("`id`"),
    newline=named("a%0ab"),
    flag=named("--help"),
    up=named("../../etc/passwd"),
    nul=named("a%00b"),
    ten_kilobytes=named("a" * 10_000),
    right_to_left=named("%e2%80%aea"),
    up_encoded=named("..%2f..%2fetc%2fpasswd"),
    dots_encoded=named("%2e%2e/%2e%2e/etc/passwd"),
    doubled_dots=named("....//....//etc/passwd"),
    encoded_twice=named("%252e%252e%252fetc"),
    backslash=named("\\..\\..\\etc"),
    absolute=named("/etc/passwd"),
    environment_of_a_process=named("..%2f..%2f..%2f..%2fproc%2fself%2fenviron"),
    link_out=named(SYMLINK),
    pipe=named(PIPED),
)
ATTACKS: list[Attack] = [*CREDENTIAL, *HOST, *ORIGIN, *METHOD, *BODY, *NAMES]
SIZES = {"credential": 7, "Host": 10, "Origin": 12, "method": 8, "body": 9, "name": 17}


class Good(NamedTuple):
    name: str
    build: Build
    status: int = 200


def written_to_nothing(**changed: Any) -> Build:
    """A write that passes every guard and asks for a command that there never was."""
    return lambda t: t.post("/api/processes/none/cancel", **changed)


def logged_in(host: str = "127.0.0.1", **changed: str | None) -> Build:
    def build(t: Target) -> bytes:
        named: dict[str, Any] = {"host": f"{host}:{t.port}", "origin": f"http://{host}:{t.port}", **changed}
        return t.post("/api/login", login(t.token), "", cookie=None, x_picochat_csrf=None, **named)

    return build


GOOD: list[Good] = [
    Good("the page", lambda t: t.get("/", cookie=None)),
    Good("the page, followed from another site", lambda t: t.get("/", cookie=None, sec_fetch_site="cross-site")),
    Good("health", lambda t: t.get("/healthz", cookie=None)),
    Good("a login", logged_in()),
    Good("a login as localhost", logged_in("localhost")),
    Good("a login over IPv6's name", logged_in("[::1]")),
    Good("a login of a page", logged_in(sec_fetch_site="same-origin", sec_fetch_mode="cors")),
    Good("the session", lambda t: t.get("/api/session")),
    Good("the runs", lambda t: t.get("/api/runs")),
    Good("the runs, by a page", lambda t: t.get("/api/runs", sec_fetch_site="same-origin")),
    Good("the runs, typed by a person", lambda t: t.get("/api/runs", sec_fetch_site="none")),
    Good("the runs with an origin", lambda t: t.get("/api/runs", origin=t.origin)),
    Good("the head of the runs", lambda t: t.get("/api/runs", "HEAD")),
    Good("one run", lambda t: t.get(f"/api/runs/{t.run}")),
    Good("changes by asking", lambda t: t.get("/api/events?since=0")),
    Good("the head of the stream", lambda t: t.get("/api/events", "HEAD")),
    Good("what it answers", lambda t: t.get("/api/openapi")),
    Good("a write", written_to_nothing(), 404),
    Good("a write of a page", written_to_nothing(sec_fetch_site="same-origin", sec_fetch_mode="cors"), 404),
    Good("a write in chunks", lambda t: t.post("/api/processes/none/cancel", b"2\r\n{}\r\n0\r\n\r\n", CHUNKED), 404),
]
"""The writes pass every guard and reach a handler, which has never heard of that command."""
