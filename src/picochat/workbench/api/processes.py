"""Commands that the workbench started: how they stand, what they said, and how to end one."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from picochat.core.errors import PicochatError
from picochat.workbench.bench import is_id
from picochat.workbench.commands.processes import Process
from picochat.workbench.problems import not_found
from picochat.workbench.routing import Accepted, Call, Question, Route


class Which(Question):
    """Of one run, or of all."""

    run: str | None = Field(default=None, max_length=80)


class From(Question):
    """The first byte that is wanted."""

    offset: int = Field(default=0, ge=0, le=1 << 50)


def list_processes(call: Call) -> dict[str, Any]:
    """The newest commands first."""
    if call.query.run is not None and not is_id(call.query.run):
        raise not_found("there is no run of that name")
    return {"processes": [process.to_json() for process in call.bench.processes.list(call.query.run)]}


def show_process(call: Call) -> dict[str, Any]:
    return find(call).to_json()


def show_output(call: Call) -> dict[str, Any]:
    """What it said from a byte on."""
    return call.bench.processes.output(find(call).id, call.query.offset)._asdict()


def cancel_process(call: Call) -> Accepted:
    """Asks it to end. Raises `process.ended`."""
    return Accepted(call.bench.processes.cancel(find(call).id).to_json())


def find(call: Call) -> Process:
    """The command that the path names. Raises 404."""
    try:
        return call.bench.processes.read(call.names["process"])
    except PicochatError:
        raise not_found("there is no command of that id") from None


ROUTES = [
    Route("GET", "api/processes", list_processes, "Commands that the workbench started", query=Which),
    Route("GET", "api/processes/{process}", show_process, "One of these commands"),
    Route("GET", "api/processes/{process}/output", show_output, "What it said, by byte offset", query=From),
    Route("POST", "api/processes/{process}/cancel", cancel_process, "Ask it to end", "Ctrl-C"),
]
