"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

from picochat.workbench.api import (
    alerts,
    changes,
    checkpoints,
    compare,
    control,
    curves,
    data,
    evals,
    gate,
    lineage,
    login,
    plans,
    play,
    processes,
    readiness,
    runs,
    scale,
    streams,
    system,
)
from picochat.workbench.routing import Route

ROUTES: list[Route] = [
    *login.ROUTES,
    *changes.ROUTES,
    *runs.ROUTES,
    *compare.ROUTES,
    *play.ROUTES,
    *curves.ROUTES,
    *evals.ROUTES,
    *processes.ROUTES,
    *control.ROUTES,
    *alerts.ROUTES,
    *plans.ROUTES,
    *scale.ROUTES,
    *gate.ROUTES,
    *readiness.ROUTES,
    *lineage.ROUTES,
    *checkpoints.ROUTES,
    *data.ROUTES,
    *streams.ROUTES,
    *system.ROUTES,
]
