"""Errors as RFC 9457 problem documents: what is wrong, why, what mends it, and the id under which the log has it."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import Response

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json
from picochat.core.redact import redact_tree

LOGGER = logging.getLogger("picochat.workbench")

CONTENT_TYPE = "application/problem+json"
STATUS_BY_EXIT_CODE = {2: 422, 3: 409, 4: 409, 5: 409, 6: 409, 75: 409}
"""What a command would have ended with -> the status of the answer. 404 is said by name, below."""
NOT_FOUND = frozenset({"run.missing", "launch.unknown"})
CONFLICTS = frozenset(
    {"launch.challenge", "launch.cap", "launch.started", "launch.blocked", "process.ended", "run.not_running"}
)
"""What is well asked and does not fit how things stand."""


class Problem(Exception):
    """An answer that is a refusal. `code` is a reason code of the registry, or a word of HTTP such as `method`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        why: str = "",
        fix: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code, self.detail, self.why, self.fix = status, code, detail, why, fix
        self.headers = headers or {}

    def document(self, request_id: str) -> dict[str, Any]:
        return {
            "type": f"picochat:{self.code}",
            "title": self.code,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "why": self.why,
            "fix": self.fix,
            "request_id": request_id,
        }


def problem_of(err: PicochatError) -> Problem:
    """The refusal of a command, as an answer."""
    if err.code in NOT_FOUND:
        status = 404
    elif err.code in CONFLICTS:
        status = 409
    else:
        status = STATUS_BY_EXIT_CODE.get(err.exit_code, 500)
    return Problem(status, err.code, err.detail, why=err.why, fix=err.fix)


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", what)


def internal_error() -> Problem:
    """What is said of a bug: nothing but the id under which the log tells more."""
    return Problem(500, "internal", "the server failed at this", why="its log has the rest under this request id")


def problem_response(err: Problem, request_id: str) -> Response:
    """The error document; the log has the same id."""
    LOGGER.info("%s %s %s", err.status, err.code, request_id)
    headers = {"cache-control": "no-store", "x-request-id": request_id, **err.headers}
    return Response(canonical_json(redact_tree(err.document(request_id))), err.status, headers, CONTENT_TYPE)
