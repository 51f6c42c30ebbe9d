"""The application: a request finds its route, the handler runs in a thread, its document becomes an answer.

build_app(bench, site) -> the ASGI application behind the guard of `webguard/`
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, finite
from picochat.workbench.bench import Workbench
from picochat.workbench.problems import CONTENT_TYPE, Problem, problem_of
from picochat.workbench.routing import Accepted, Call, Route, Router, read_body, read_query
from picochat.workbench.site import FOR_EVER, Site

LOGGER = logging.getLogger("picochat.workbench")
STATIC = "static"
JSON = "application/json"


class Application:
    """Page, static files and API. Who may ask is decided before, in `access`."""

    def __init__(self, bench: Workbench, site: Site, router: Router) -> None:
        self._bench = bench
        self._site = site
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as err:
            response = problem_response(err)
        except PicochatError as err:
            response = problem_response(problem_of(err))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, method = request.scope["path"], request.method
        parts = path.split("/")
        if path == "/" or path == "":
            _require_get(method)
            return Response(self._site.index, 200, {"cache-control": "no-store"}, "text/html")
        if len(parts) > 3 and parts[1] == STATIC:
            _require_get(method)
            return self._static(request, parts[2], "/".join(parts[3:]))
        route, names = self._router.find(method, path)
        query = read_query(route, request.url.query)
        body = read_body(route, await request.body()) if route.method == "POST" else None
        call = Call(self._bench, names, query, body, request.scope.get("picochat_login", ""))
        return await self._call(route, call, request)

    async def _call(self, route: Route, call: Call, request: Request) -> Response:
        found = await run_in_threadpool(route.handler, call)
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
    data = canonical_json(finite(document))
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"cache-control": "no-store", "etag": etag}
    if status == 200 and known == etag:
        return Response(b"", 304, headers)
    return Response(data, status, headers, JSON)


def problem_response(err: Problem) -> Response:
    """The error document; the log has the same id."""
    request_id = f"req-{secrets.token_hex(8)}"
    LOGGER.info("%s %s %s", err.status, err.code, request_id)
    headers = {"cache-control": "no-store", **err.headers}
    return Response(canonical_json(err.document(request_id)), err.status, headers, CONTENT_TYPE)


def _require_get(method: str) -> None:
    if method not in ("GET", "HEAD"):
        raise Problem(405, "method", "this path takes GET, HEAD", headers={"allow": "GET, HEAD"})
