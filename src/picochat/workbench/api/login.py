"""Logging in by the printed link, and the session that it opens; whether the server is there at all."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

import picochat
from picochat.core.jsonio import canonical_json
from picochat.workbench.door.access import AGAIN
from picochat.workbench.problems import Problem
from picochat.workbench.routing import Call, Question, Route


class Login(Question):
    """The token of the link's fragment."""

    token: str = Field(max_length=512)


def log_in(call: Call) -> Response:
    """The token for a cookie and a CSRF value. Raises 401."""
    sessions = call.bench.sessions
    opened = sessions.log_in(call.body.token)
    if opened is None:
        raise Problem(401, "credential", "the token is not that of this start", fix=AGAIN)
    value, session = opened
    cookie = [f"{sessions.cookie_name(call.headers.get('host', ''))}={value}", "HttpOnly", "SameSite=Strict"]
    if call.bench.config.prefix:
        # Without it the browser takes the folder of this address, which is right behind any prefix that it alone sees.
        cookie.append(f"Path={call.bench.config.prefix}/api")
    if call.headers.get("origin", "").startswith("https:"):
        cookie.append("Secure")
    return Response(
        canonical_json(_document(call, session.csrf)), 200, {"set-cookie": "; ".join(cookie)}, "application/json"
    )


def show_session(call: Call) -> dict[str, Any]:
    """What a page that was loaded again needs before it can ask for a change."""
    return _document(call, call.bench.sessions.csrf_of(call.login))


def _document(call: Call, csrf: str) -> dict[str, Any]:
    return {"csrf": csrf, "read_only": call.bench.config.read_only, "version": picochat.__version__}


def health(call: Call) -> dict[str, Any]:
    """That the server answers, and nothing else."""
    return {"status": "ok"}


ROUTES = [
    Route("GET", "healthz", health, "Whether the server answers"),
    Route("POST", "api/login", log_in, "The token of the printed link for a cookie and a CSRF value", body=Login),
    Route("GET", "api/session", show_session, "The CSRF value of the session, and whether changes are allowed"),
]
