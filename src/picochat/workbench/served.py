"""What a server answers: the table of the surfaces, and the document that describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picochat.workbench.api import login
from picochat.workbench.api.table import ROUTES
from picochat.workbench.openapi import build_openapi
from picochat.workbench.routing import Call, Route


def served_routes(read_only: bool, table: Sequence[Route] = ROUTES) -> list[Route]:
    """Under `web.read_only` no route changes anything: all that is posted is the token."""
    kept = [route for route in table if not read_only or route.method == "GET" or route in login.ROUTES]

    def show_openapi(call: Call) -> dict[str, Any]:
        """What this server answers."""
        return build_openapi(routes)

    routes = [*kept, Route("GET", "api/openapi", show_openapi, "This document")]
    return routes
