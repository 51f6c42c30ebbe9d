"""The list of runs, and one of them."""

from __future__ import annotations

from typing import Any

from picochat.views.run_state import read_run_state
from picochat.workbench.routing import Call, Route


def list_runs(call: Call) -> dict[str, Any]:
    """Every run of the folder."""
    return {"runs": [read_run_state(folder)._asdict() for folder in call.bench.run_folders()]}


ROUTES = [Route("GET", "api/runs", list_runs, "All runs of the folder", "picochat runs --json")]
