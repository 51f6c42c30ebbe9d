"""GET /openapi.json: the document is made from the models that requests are read with, so it cannot say otherwise."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import picochat
from picochat.serving.protocol.errors import CODES
from picochat.serving.protocol.requests import ChatRequest, CompletionRequest

REF = "#/components/schemas/{model}"


def build_openapi() -> dict[str, Any]:
    """OpenAPI 3.1 of all routes."""
    _, schemas = models_json_schema([(CompletionRequest, "validation"), (ChatRequest, "validation")], ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Picochat",
            "version": picochat.__version__,
            "description": "A local smoke-serving layer for one checkpoint, for OpenAI's clients.",
        },
        "components": {
            "schemas": {**schemas["$defs"], "Error": _error_schema(), "Model": _model_schema()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
        "paths": {
            "/healthz": {
                "get": _operation("health", "Whether the server is ready", _object("status")) | {"security": []}
            },
            "/metrics": {"get": _operation("metrics", "Counters for Prometheus", {"type": "string"}, "text/plain")},
            "/openapi.json": {"get": _operation("openapi", "This document", _object("openapi", "paths"))},
            "/v1/models": {"get": _operation("models", "The model that is served", _object("object", "data"))},
            "/v1/models/{id}": {
                "get": _operation("model", "One model", {"$ref": REF.format(model="Model")})
                | {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]}
            },
            "/v1/completions": {"post": _asking("complete", "Go on with a text", CompletionRequest)},
            "/v1/chat/completions": {"post": _asking("chat", "Answer a conversation", ChatRequest)},
        },
    }


def _operation(name: str, summary: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    failed = {
        "description": "refused",
        "content": {"application/json": {"schema": {"$ref": REF.format(model="Error")}}},
    }
    done = {"description": "done", "content": {kind: {"schema": schema}}}
    return {"operationId": name, "summary": summary, "responses": {"200": done, "default": failed}}


def _asking(name: str, summary: str, model: type[BaseModel]) -> dict[str, Any]:
    operation = _operation(name, summary, _object("id", "object", "created", "model", "choices"))
    operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    body = {"application/json": {"schema": {"$ref": REF.format(model=model.__name__)}}}
    return operation | {"requestBody": {"required": True, "content": body}}


def _object(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required)}


def _error_schema() -> dict[str, Any]:
    text, perhaps = {"type": "string"}, {"type": ["string", "null"]}
    fields = {
        "message": text,
        "type": {"enum": sorted({kind for _, kind in CODES.values()})},
        "param": perhaps,
        "code": {"enum": list(CODES)},
    }
    error = {"type": "object", "required": list(fields), "properties": fields, "additionalProperties": False}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}


def _model_schema() -> dict[str, Any]:
    kinds = {"id": "string", "object": "string", "created": "integer", "owned_by": "string", "max_model_len": "integer"}
    kinds |= {"weights_digest": "string", "gate": "string"}
    return {
        "type": "object",
        "required": list(kinds),
        "properties": {key: {"type": kind} for key, kind in kinds.items()},
    }
