"""The machine: what `picochat doctor` says of it, the disk under the runs, and how this server was set."""

from __future__ import annotations

from typing import Any

from picochat.core.fs import free_bytes
from picochat.workbench.routing import Call, Question, Route

SILENT = "picochat doctor gave no answer: run it in a terminal to see why"


class Wish(Question):
    """`again` asks the command once more, however new its last answer is."""

    again: bool = False


def show_doctor(call: Call) -> dict[str, Any]:
    """Facts and advice as the command prints them, with their age; the disk is asked each time."""
    said = call.bench.doctor.ask(again=call.query.again)
    known = said.facts is not None
    return {
        "state": "ready" if known else "unreadable",
        "why": None if known else SILENT,
        "facts": said.facts,
        "advice": said.advice,
        "age_s": said.age_s,
        "runs": str(call.bench.runs.absolute()),
        "runs_free_bytes": _free_bytes(call),
        "settings": call.bench.config.as_dict(),
    }


def _free_bytes(call: Call) -> int | None:
    try:
        return free_bytes(call.bench.runs)
    except OSError:
        return None


ROUTES = [
    Route("GET", "api/doctor", show_doctor, "This machine, and what is missing on it", "picochat doctor --json", Wish)
]
