"""The OpenAPI document, made from the routes and from the records that requests are read with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

import picochat
from picochat.workbench.problems import CONTENT_TYPE
from picochat.workbench.routing import Route

REF = "#/components/schemas/{model}"
PROBLEM = "Problem"
OPEN = frozenset({"healthz", "api/login"})
"""Said here for readers; what is open is decided in `access`, and a test compares the two."""


def build_openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of these routes."""
    models = {route.body: None for route in routes if route.method == "POST"} | {route.query: None for route in routes}
    names, schemas = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    refs = {model: names[model, "validation"]["$ref"] for model in models}
    known = schemas.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        query = known.get(refs[route.query].rpartition("/")[2], {})
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route, query, refs.get(route.body))
    used = {ref for path in paths.values() for ref in re.findall(r"#/components/schemas/(\w+)", str(path))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Picochat workbench",
            "version": picochat.__version__,
            "description": "The operator's surface on a folder of runs; all addresses are relative.",
        },
        "servers": [{"url": "."}],
        "security": [{"session": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {PROBLEM: _problem()} | _reachable(known, used),
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "picochat-8765"}},
        },
    }


def _operation(route: Route, query: dict[str, Any], body: str | None) -> dict[str, Any]:
    words = re.sub(r"[^a-z]+", "_", f"{route.method} {route.path}".lower()).strip("_")
    refused = {"description": "refused", "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(model=PROBLEM)}}}}
    done = {"description": "done", "content": {"application/json": {"schema": {}}}}
    found: dict[str, Any] = {
        "operationId": words,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(query), *_headers(route)],
        "responses": {"2XX": done, "default": refused},
    }
    if route.twin:
        found["x-picochat-twin"] = route.twin
    if route.path in OPEN:
        found["security"] = []
    if route.method == "POST":
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"$ref": body}}}}
    return found


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,80}$"}
    names = re.findall(r"\{(\w+)\}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": value}
        for name, value in schema.get("properties", {}).items()
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.method == "GET" or route.path in OPEN:
        return []
    return [{"name": "X-Picochat-CSRF", "in": "header", "required": True, "schema": {"type": "string"}}]


def _reachable(schemas: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """The schemas that the paths name, and those that these name."""
    found: dict[str, Any] = {}
    left = sorted(used & schemas.keys())
    while left:
        name = left.pop()
        if name not in found:
            found[name] = schemas[name]
            left += re.findall(r"#/components/schemas/(\w+)", str(schemas[name]))
    return dict(sorted(found.items()))


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    fields = dict.fromkeys(("type", "title", "detail", "code", "why", "fix", "request_id"), text)
    return {"type": "object", "required": [*fields, "status"], "properties": {**fields, "status": {"type": "integer"}}}
