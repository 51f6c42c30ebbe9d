"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

from picochat.workbench.api import checkpoints, data, lineage, processes, runs, streams
from picochat.workbench.routing import Route

ROUTES: list[Route] = [
    *runs.ROUTES,
    *processes.ROUTES,
    *lineage.ROUTES,
    *checkpoints.ROUTES,
    *data.ROUTES,
    *streams.ROUTES,
]
