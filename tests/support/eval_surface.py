"""The evaluation surface without a socket: runs of made files, and the application that answers for them.

client(runs).get("api/runs/green/fit")      an answer of the real routes
write_run(folder)                           a folder that counts as a run, and holds no more than its record
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from picochat.artifacts import layout
from picochat.core.jsonio import jsonl_bytes
from picochat.workbench.api.evals import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred\x1b[0m \u202eevil\u202c javascript:alert(3)"


def client(runs: Path) -> TestClient:
    """Asks the routes of evaluation about a folder of runs."""
    return TestClient(Application(Workbench(runs), Site("0", b"", {}), Router(ROUTES)))


def ask(runs: Path, path: str, **query: Any) -> dict[str, Any]:
    """The document of an answer that must be 200."""
    answer = client(runs).get(f"/api/runs/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def write_run(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / layout.RUN).write_text("{}\n")
    return folder


def write_rows(root: Path, relative: str, rows: list[dict[str, Any]], tail: bytes = b"") -> None:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jsonl_bytes(rows) + tail)


def write_json(root: Path, relative: str, body: Any) -> None:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body))


def eval_row(number: int, verdict: str = "pass", **changes: Any) -> dict[str, Any]:
    """A row of rows.jsonl as the evaluation writes it."""
    row = {
        "id": f"row-{number}",
        "category": "spelling",
        "user": f"Spell word {number}.",
        "messages": None,
        "rule": "exact",
        "expected": [f"w {number}"],
        "distractors": [],
        "forbidden": [],
        "options": [],
        "answer": None,
        "template": "spelling.1",
        "entities": ["word:w"],
        "level": "easy",
        "reply": f"w {number}" if verdict == "pass" else "no idea",
        "verdict": verdict,
        "reason": "ok" if verdict == "pass" else "differs",
        "echo": False,
        "repetition": False,
        "unfinished": False,
        "unsupported": False,
        "option_scores": None,
    }
    return row | changes
