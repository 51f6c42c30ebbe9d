"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

from typing import Any

from picochat.workbench.api import changes, curves, evals, login, play, processes, runs, system
from picochat.workbench.openapi import build_openapi
from picochat.workbench.routing import Call, Route


def show_openapi(call: Call) -> dict[str, Any]:
    """What this server answers."""
    return build_openapi(served_routes(call.bench.config.read_only))


def served_routes(read_only: bool) -> list[Route]:
    """Under `web.read_only` no route changes anything: all that is posted is the token."""
    return [route for route in ROUTES if not read_only or route.method == "GET" or route in login.ROUTES]


ROUTES: list[Route] = [
    *login.ROUTES,
    *changes.ROUTES,
    *runs.ROUTES,
    *play.ROUTES,
    *curves.ROUTES,
    *evals.ROUTES,
    *processes.ROUTES,
    *system.ROUTES,
    Route("GET", "api/openapi", show_openapi, "This document"),
]
