"""The routes of the workbench without a socket: what a folder of runs answers.

ask(runs, "green/lineage")      the document of an answer that must be 200
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site


def bench_client(bench: Workbench) -> TestClient:
    """Asks without a login: who may ask is decided elsewhere."""
    return TestClient(Application(bench, Site("0", b"", {}), Router(ROUTES)))


def ask(runs: Path | Workbench, path: str, **query: Any) -> dict[str, Any]:
    """What `api/runs/PATH` answers."""
    bench = runs if isinstance(runs, Workbench) else Workbench(runs)
    answer = bench_client(bench).get(f"/api/runs/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
