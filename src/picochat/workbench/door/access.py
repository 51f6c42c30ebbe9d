"""In front of every route: who asks, from which page, and the headers that every answer has.

Everything is refused unless it passes; what is open without a login is said in `is_open`, and there is no other list.
The guard before it (`webguard`) has turned away foreign names, foreign origins and requests that are no HTTP.

    403   a page of another origin, or a write that does not say which page it comes from
    401   no session
    415   a write that is no JSON
    500   whatever a handler let slip, without a word of it; the log has the same id
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterator
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from picochat.workbench.door.sessions import Session, Sessions
from picochat.workbench.problems import Problem, internal_error, not_found, problem_response

LOGGER = logging.getLogger("picochat.workbench")
READS = ("GET", "HEAD")
LOGIN = "/api/login"
TOKEN = "token"
MOST_COOKIES = 16
WRITE_MODES = ("cors", "same-origin")
READ_SITES = ("same-origin", "none")
CSP = "content-security-policy"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
OTHER_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""Of every other answer: a report of a run is shown, and whatever stands in it neither runs nor is this origin."""
LABELS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
AGAIN = "open the link that `picochat web` printed: each start has a new one"


def is_open(method: str, path: str) -> bool:
    """The page and its files, which hold no data; health; and the exchange of the token."""
    if method in READS:
        return path in ("/", "/healthz") or path.startswith("/static/")
    return method == "POST" and path == LOGIN


def new_request_id() -> str:
    return f"req-{secrets.token_hex(8)}"


def label(headers: list[tuple[bytes, bytes]], request_id: str, page: bool) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that every answer has."""
    names = {name.lower() for name, _ in headers}
    added = {**LABELS, "x-request-id": request_id, "cache-control": "no-store"}
    added[CSP] = PAGE_CSP if page else OTHER_CSP
    return headers + [(k.encode(), v.encode("latin-1")) for k, v in added.items() if k.encode() not in names]


class Access:
    """Wraps the application. A request that passes carries the name of its session as `picochat_login`."""

    def __init__(self, app: ASGIApp, sessions: Sessions, prefix: str = "") -> None:
        self._app = app
        self._sessions = sessions
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["picochat_request"] = new_request_id()
        began = False

        async def send_labelled(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                page = scope["path"] == "/" and scope["method"] in READS
                message = {**message, "headers": label(list(message["headers"]), request_id, page)}
            await send(message)

        try:
            if self._prefix and scope["path"] == self._prefix:
                await Response(status_code=308, headers={"location": f"{self._prefix}/"})(scope, receive, send_labelled)
                return
            self._take_prefix(scope)
            self._admit(scope)
            await self._app(scope, receive, send_labelled)
        except Problem as err:
            await problem_response(err, request_id)(scope, receive, send_labelled)
        except Exception:
            LOGGER.exception("%s: internal error", request_id)
            if began:
                raise
            await problem_response(internal_error(), request_id)(scope, receive, send_labelled)

    def _take_prefix(self, scope: Scope) -> None:
        """Below the prefix all is as without one; there is nothing beside it."""
        if self._prefix:
            if not scope["path"].startswith(f"{self._prefix}/"):
                raise not_found("there is nothing under that path")
            scope["path"] = scope["path"][len(self._prefix) :]

    def _admit(self, scope: Scope) -> None:
        """Raises a Problem for what may not go on."""
        method, headers = scope["method"], scope["headers"]
        open_to_all, write = is_open(method, scope["path"]), method not in READS
        if write:
            _require_own_page(headers)
        elif not open_to_all:
            _require_own_or_typed(headers)
        if (write or not open_to_all) and _names_token(scope["query_string"]):
            raise Problem(401, "credential", "a token does not travel in a query", fix=AGAIN)
        if not open_to_all:
            session = self._sessions.find(_cookies(headers, self._sessions.cookie_name(host_of(headers))))
            if session is None:
                raise Problem(401, "credential", "this browser is not logged in", fix=AGAIN)
            scope["picochat_login"] = session.login
            if write:
                _require_csrf(headers, session)
        if method == "POST":
            _require_json(headers)


Headers = list[tuple[bytes, bytes]]


def _all(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for found, value in headers if found == name]


def host_of(headers: Headers) -> str:
    """The guard let exactly one through."""
    return next(iter(_all(headers, b"host")), "")


def _require_own_page(headers: Headers) -> None:
    """A write names its page, at which the guard has looked, and nothing that a browser adds speaks against it."""
    if not _all(headers, b"origin"):
        raise Problem(403, "origin", "a change says which page it comes from: the header Origin is missing")
    if any(site != "same-origin" for site in _all(headers, b"sec-fetch-site")):
        raise Problem(403, "origin", "another page asks for a change")
    if any(mode not in WRITE_MODES for mode in _all(headers, b"sec-fetch-mode")):
        raise Problem(403, "origin", "a change is asked for by script, and never by opening an address")


def _require_own_or_typed(headers: Headers) -> None:
    """Data is read by the workbench's own page, or by a person who opens the address."""
    if any(site not in READ_SITES for site in _all(headers, b"sec-fetch-site")):
        raise Problem(403, "origin", "another page asks for data")


def _require_csrf(headers: Headers, session: Session) -> None:
    given = _all(headers, b"x-picochat-csrf")
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), session.csrf.encode()):
        raise Problem(403, "csrf", "the value of X-Picochat-CSRF is missing or of another login", fix="reload the page")


def _require_json(headers: Headers) -> None:
    """A form, plain text and a multipart body are what a foreign page can send without being asked."""
    kinds = _all(headers, b"content-type")
    if [kind.lower() for kind in kinds] != ["application/json"]:
        raise Problem(415, "content_type", "a body is JSON, with the header Content-Type: application/json")
    if _all(headers, b"content-encoding"):
        raise Problem(415, "content_type", "a packed body is not unpacked: send it without Content-Encoding")


def _names_token(query: bytes) -> bool:
    """Whether a query has the key `token`, however it is written; what is no query is none for the routes either."""
    try:
        return any(key.strip().lower() == TOKEN for key, _ in parse_qsl(query.decode("latin-1"), True))
    except ValueError:
        return True


def _cookies(headers: Headers, name: str) -> Iterator[str]:
    """The values under a name; more of them than a browser would send are not looked at."""
    pairs = [pair.partition("=") for line in _all(headers, b"cookie") for pair in line.split(";")]
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    yield from found[:MOST_COOKIES]
