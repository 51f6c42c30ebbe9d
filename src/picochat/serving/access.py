"""In front of every route: the key, the headers that every answer has, the request log, and what may not leave.

No exception passes: a refusal leaves in the envelope, anything else as `internal_error` with the id under which the
log has the rest.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from time import perf_counter

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from picochat.core.errors import one_line
from picochat.serving.metrics import Metrics
from picochat.serving.protocol.errors import ApiError, internal_error
from picochat.serving.protocol.strict_json import dump
from picochat.serving.served import ServingState
from picochat.serving.worker import ClientGone

LOGGER = logging.getLogger("picochat.serving")
OPEN_PATHS = frozenset({"/healthz"})
OTHER_ROUTE = "other"
CLIENT_GONE = 499
"""Stands in the log and in the metrics alone: nobody is left to be told."""
EXPOSED = "x-request-id, x-picochat-gate, x-picochat-gate-profile, retry-after"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(\s*,\s*[A-Za-z0-9-]{1,64}){0,63}")


@dataclass
class Record:
    """What the log says of a request; lies in its scope under `picochat`."""

    id: str
    route: str = OTHER_ROUTE
    status: int = CLIENT_GONE
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt: str = ""


def new_request_id() -> str:
    return f"req-{secrets.token_hex(12)}"


def error_response(err: ApiError) -> Response:
    """The envelope of an error."""
    return Response(dump(err.envelope()), err.status, err.headers, "application/json")


def gate_headers(state: ServingState) -> dict[str, str]:
    """X-Picochat-Gate, which every answer has."""
    verdict = state.service.served.verdict if state.service else None
    profile = {"x-picochat-gate-profile": verdict.profile} if verdict and verdict.profile else {}
    return {"x-picochat-gate": state.gate_word, **profile}


class Access:
    """Wraps the routes. `key` None takes any key, as clients always send one."""

    def __init__(self, app: ASGIApp, state: ServingState, metrics: Metrics, key: str | None, log_prompts: bool) -> None:
        self._app = app
        self._state = state
        self._metrics = metrics
        self._key = key.encode() if key is not None else None
        self._log_prompts = log_prompts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = scope["picochat"] = Record(new_request_id())
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        started, began = perf_counter(), False

        async def send_labelled(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began, record.status = True, message["status"]
                labels = {"x-request-id": record.id, **gate_headers(self._state), **_cors(headers)}
                extra = [(key.encode(), value.encode("latin-1")) for key, value in labels.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            self._require_key(scope)
            await self._app(scope, receive, send_labelled)
        except ClientGone:
            pass  # Nobody is left to be answered; the record says so.
        except ApiError as err:
            await error_response(err)(scope, receive, send_labelled)
        except Exception:
            LOGGER.exception("%s: internal error", record.id)
            if began:
                raise
            await error_response(internal_error(record.id))(scope, receive, send_labelled)
        finally:
            self._note(scope, record, perf_counter() - started)

    def _require_key(self, scope: Scope) -> None:
        """Raises `invalid_api_key`. Preflights carry no key, and health is nobody's secret."""
        if self._key is None or scope["method"] == "OPTIONS" or scope["path"] in OPEN_PATHS:
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        right = hmac.compare_digest(key.strip(), self._key)
        if not (right and scheme.lower() == b"bearer"):
            message = "the API key is missing or wrong: send the header Authorization: Bearer KEY"
            raise ApiError("invalid_api_key", message, www_authenticate="Bearer")

    def _note(self, scope: Scope, record: Record, seconds: float) -> None:
        self._metrics.request(record.route, record.status)
        if record.prompt_tokens or record.completion_tokens:
            self._metrics.tokens(record.prompt_tokens, record.completion_tokens)
        words = f"{scope['method']} {scope['path'][:200]} {record.status} {seconds:.3f} s {record.id}"
        if record.prompt_tokens:
            words += f", {record.prompt_tokens} + {record.completion_tokens} tokens"
        if self._log_prompts and record.prompt:
            words += f", {record.prompt}"
        LOGGER.info("%s", one_line(words))


def _cors(headers: dict[str, str]) -> dict[str, str]:
    """For a page whose origin is listed; the guard lets no other through."""
    origin = headers.get("origin")
    if origin is None:
        return {}
    return {"access-control-allow-origin": origin, "vary": "Origin", "access-control-expose-headers": EXPOSED}


def preflight(allow: str, asked_headers: str) -> Response:
    """The answer to OPTIONS: what a path takes, and which headers a listed page may send."""
    headers = {"allow": allow, "access-control-allow-methods": allow, "access-control-max-age": "600"}
    if _HEADER_NAMES.fullmatch(asked_headers.strip()):
        headers["access-control-allow-headers"] = asked_headers.strip()
    return Response(status_code=204, headers=headers)
