"""The application: which path takes which method, and how a request becomes an answer.

build_app(state, config, key) -> the ASGI application behind the guard of `webguard/`
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from picochat.serving.access import Access, Record, error_response, gate_headers, new_request_id, preflight
from picochat.serving.answers.chat import ChatPlan
from picochat.serving.answers.choices import collect
from picochat.serving.answers.completions import CompletionPlan
from picochat.serving.answers.delivery import EventStream, watched
from picochat.serving.metrics import CONTENT_TYPE, Metrics
from picochat.serving.models import health, list_models, show_model
from picochat.serving.protocol.errors import ApiError, internal_error
from picochat.serving.protocol.openapi import build_openapi
from picochat.serving.protocol.requests import ChatRequest, CompletionRequest, read_request
from picochat.serving.protocol.strict_json import dump, parse_body
from picochat.serving.served import Service, ServingState
from picochat.serving.settings import ServeConfig
from picochat.serving.worker import EngineFailed, submit
from picochat.webguard.app import GuardedApp
from picochat.webguard.guard import Answer, Guard
from picochat.webguard.limits import Limits, Refusal

LOGGER = logging.getLogger("picochat.serving")
INLINE_BYTES = 16 * 1024
"""A longer body is parsed and encoded in a thread, so that other answers go on meanwhile."""
MODELS = "/v1/models/"
GUARD_ROUTE = "guard"
READ = "GET, HEAD"
Handler = Callable[[Request], Awaitable[Response]]


class Route(NamedTuple):
    """What a path takes; `name` is how the metrics call it."""

    name: str
    allow: str
    handler: Handler


def json_response(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(dump(document), status, headers, "application/json")


class Routes:
    """The table of paths, and their handlers."""

    def __init__(self, state: ServingState, config: ServeConfig, metrics: Metrics) -> None:
        self._state = state
        self._config = config
        self._metrics = metrics
        self._table = {
            "/healthz": Route("/healthz", READ, self._health),
            "/metrics": Route("/metrics", READ, self._show_metrics),
            "/openapi.json": Route("/openapi.json", READ, self._openapi),
            "/v1/models": Route("/v1/models", READ, self._models),
            "/v1/completions": Route("/v1/completions", "POST", self._complete),
            "/v1/chat/completions": Route("/v1/chat/completions", "POST", self._chat),
        }
        self._one_model = Route("/v1/models/{id}", READ, self._model)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        route = self._table.get(path)
        if route is None and path.startswith(MODELS) and len(path) > len(MODELS):
            route = self._one_model
        if route is None:
            raise ApiError("unknown_url", f"there is no {method} {path[:200]} here")
        record: Record = scope["picochat"]
        record.route = route.name
        request = Request(scope, receive)
        if method == "OPTIONS":
            asked = request.headers.get("access-control-request-headers", "")
            response = preflight(f"{route.allow}, OPTIONS", asked)
        elif method not in route.allow.split(", "):
            message = f"{path[:200]} takes {route.allow}, not {method[:20]}"
            raise ApiError("method_not_allowed", message, allow=f"{route.allow}, OPTIONS")
        else:
            response = await route.handler(request)
        await response(scope, receive, send)

    async def _health(self, request: Request) -> Response:
        status, document, headers = health(self._state)
        return json_response(document, status, headers)

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.render(), headers={"content-type": CONTENT_TYPE})

    async def _openapi(self, request: Request) -> Response:
        return json_response(self._document)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return build_openapi()

    async def _models(self, request: Request) -> Response:
        return json_response(list_models(self._state.require().served))

    async def _model(self, request: Request) -> Response:
        return json_response(show_model(self._state.require().served, request.scope["path"].removeprefix(MODELS)))

    async def _complete(self, request: Request) -> Response:
        return await self._answer(request, CompletionRequest, CompletionPlan)

    async def _chat(self, request: Request) -> Response:
        return await self._answer(request, ChatRequest, ChatPlan)

    async def _answer(self, request: Request, model: Any, plan_type: Any) -> Response:
        """From the body to the whole answer, or to the stream that goes on by itself."""
        service = self._state.require()
        _require_json(request)
        record: Record = request.scope["picochat"]
        plan = await self._plan(await request.body(), model, plan_type, service, record)
        try:
            ticket = submit(service.engine, plan.requests, self._metrics)
        except EngineFailed as err:
            return error_response(self._failure(err, record))
        record.prompt_tokens = plan.prompt_tokens
        if plan.request.stream:
            return EventStream(
                ticket,
                plan.stream(),
                include_usage=plan.request.include_usage,
                failed=lambda err: self._failure(err, record),
                finished=lambda tokens: setattr(record, "completion_tokens", tokens),
            )
        try:
            async with watched(ticket, request.receive):
                choices = await collect(ticket, len(plan.requests))
        except EngineFailed as err:
            return error_response(self._failure(err, record))
        record.completion_tokens = sum(len(choice.tokens) for choice in choices)
        return json_response(plan.answer(choices))

    def _failure(self, err: EngineFailed, record: Record) -> ApiError:
        """What a client is told; an engine that is being closed gives up what it has not begun."""
        if self._state.phase == "draining":
            return ApiError("draining", "the server is shutting down and ended this answer")
        LOGGER.error("%s: the engine failed: %s", record.id, err)
        return internal_error(record.id)

    async def _plan(self, body: bytes, model: Any, plan_type: Any, service: Service, record: Record) -> Any:
        """Parsed, checked and encoded."""

        def work() -> Any:
            request = read_request(model, parse_body(body))
            if self._config.log_prompts:
                record.prompt = body.decode("utf-8", "replace")
            return plan_type(request, service.served, self._config.generation_s)

        return work() if len(body) <= INLINE_BYTES else await asyncio.to_thread(work)


def _require_json(request: Request) -> None:
    """Raises `unsupported_media_type`: a form or plain text is what a foreign web page can send without asking."""
    kinds = request.headers.getlist("content-type")
    kind = kinds[0].partition(";")[0].strip().lower() if len(kinds) == 1 else ""
    if kind != "application/json":
        raise ApiError("unsupported_media_type", "the body is JSON, with the header Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError("unsupported_media_type", "a packed body is not unpacked: send it without Content-Encoding")


class ServingApp(NamedTuple):
    """The application behind its guard, whose protocol the server uses."""

    app: ASGIApp
    guard: Guard


def build_app(
    state: ServingState, config: ServeConfig, key: str | None = None, limits: Limits | None = None
) -> ServingApp:
    """Everything but the socket."""
    metrics = Metrics(lambda: state.service)

    def answer(refusal: Refusal) -> Answer:
        """What the guard refuses, in the same envelope."""
        err = ApiError(refusal.code, refusal.message)
        metrics.request(GUARD_ROUTE, err.status)
        labels = {"x-request-id": new_request_id(), **gate_headers(state), **err.headers}
        LOGGER.info("refused %s %s, %s", err.status, err.code, labels["x-request-id"])
        return Answer(err.status, {"content-type": "application/json", **labels}, dump(err.envelope()))

    guard = Guard(limits or Limits(), answer, tuple(config.allowed_hosts), tuple(config.allowed_origins))
    routes = Routes(state, config, metrics)
    return ServingApp(GuardedApp(Access(routes, state, metrics, key, config.log_prompts), guard), guard)
