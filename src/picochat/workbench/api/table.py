"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

from picochat.workbench.api import control, login, plans, processes, runs
from picochat.workbench.routing import Route

ROUTES: list[Route] = [
    *login.ROUTES,
    *runs.ROUTES,
    *processes.ROUTES,
    *control.ROUTES,
    *plans.ROUTES,
]
