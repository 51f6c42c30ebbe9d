"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

from picochat.workbench.api import compare, runs
from picochat.workbench.routing import Route

ROUTES: list[Route] = [
    *runs.ROUTES,
    *compare.ROUTES,
]
