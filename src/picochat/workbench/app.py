"""The application: a request finds its route, the handler runs in a thread, its document becomes an answer.

Who may ask is decided before, in `access`; what is no HTTP never comes here (`server.build_app` puts them together).
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, finite
from picochat.core.redact import redact_tree
from picochat.workbench.bench import Workbench
from picochat.workbench.problems import Problem, problem_of, problem_response
from picochat.workbench.routing import Accepted, Call, Question, Route, Router, read_body, read_query
from picochat.workbench.site import FOR_EVER, Site
from picochat.workbench.threads import HandlerThreads

STATIC = "static"
JSON = "application/json"
NO_ID = "none"
"""Where no door stands before the application, as in some tests."""


class Application:
    """Page, static files and API."""

    def __init__(self, bench: Workbench, site: Site, router: Router) -> None:
        self._bench = bench
        self._site = site
        self._router = router
        self._threads = HandlerThreads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as err:
            response = problem_response(err, scope.get("picochat_request", NO_ID))
        except PicochatError as err:
            response = problem_response(problem_of(err), scope.get("picochat_request", NO_ID))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, method = request.scope["path"], request.method
        parts = path.split("/")
        if path == "/":
            _require_get(method)
            return Response(self._site.index, 200, {"cache-control": "no-store"}, "text/html")
        if len(parts) > 3 and parts[1] == STATIC:
            _require_get(method)
            return self._static(request, parts[2], "/".join(parts[3:]))
        route, names = self._router.find(method, path)
        query = read_query(route, request.url.query)
        login = request.scope.get("picochat_login", "")
        body = self._body(route, names, login, await request.body()) if route.method == "POST" else None
        call = Call(self._bench, names, query, body, login, dict(request.headers))
        return await self._call(route, call, request)

    def _body(self, route: Route, names: dict[str, str], login: str, data: bytes) -> Question:
        try:
            return read_body(route, data)
        except Problem as err:
            if route.refused is not None:
                route.refused(self._bench, names, login, err)
            raise

    async def _call(self, route: Route, call: Call, request: Request) -> Response:
        found = await self._threads.run(lambda: route.handler(call))
        if isinstance(found, Response):
            return found
        status, document = (found.status, found.document) if isinstance(found, Accepted) else (200, found)
        return document_response(document, status, request.headers.get("if-none-match"))

    def _static(self, request: Request, digest: str, path: str) -> Response:
        """A file of this version; another version is not here: the page is loaded again and names this one."""
        file = self._site.files.get(path) if digest == self._site.digest else None
        if file is None:
            raise Problem(404, "not_found", "there is no such file")
        headers = {"cache-control": FOR_EVER, "etag": file.etag, "vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(b"", 304, headers)
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, 200, headers | {"content-encoding": "gzip"}, file.kind)
        return Response(file.data, 200, headers, file.kind)


def document_response(document: Any, status: int = 200, known: str | None = None) -> Response:
    """JSON with a digest of its bytes: what the browser has already is not sent again."""
    return json_response(encoded(document), status, known)


def encoded(document: Any) -> bytes:
    """A document as it is sent: no number that is not finite, no secret, one order of keys."""
    return canonical_json(redact_tree(finite(document)))


def json_response(data: bytes, status: int = 200, known: str | None = None) -> Response:
    """What `encoded` made, sent or known already."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"cache-control": "no-store", "etag": etag}
    if status == 200 and known == etag:
        return Response(b"", 304, headers)
    return Response(data, status, headers, JSON)


def _require_get(method: str) -> None:
    if method not in ("GET", "HEAD"):
        raise Problem(405, "method", "this path takes GET, HEAD", headers={"allow": "GET, HEAD"})
