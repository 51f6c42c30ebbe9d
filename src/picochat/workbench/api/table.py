"""Every route of the workbench, in the order of its pages."""

from __future__ import annotations

<<<<<<< HEAD
from picochat.workbench.api import curves, runs
=======
from picochat.workbench.api import login, processes, runs
>>>>>>> main
from picochat.workbench.routing import Route

ROUTES: list[Route] = [
    *login.ROUTES,
    *runs.ROUTES,
<<<<<<< HEAD
    *curves.ROUTES,
=======
    *processes.ROUTES,
>>>>>>> main
]
