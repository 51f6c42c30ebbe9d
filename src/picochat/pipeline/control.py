"""control.json: what a person asks of a run that is working, and what the run made of it.

    {"request": "stop"}        the step that is running is finished, a checkpoint is saved, exit code 75
    {"request": "stop_now"}    the same without the checkpoint: a resume goes on from the last one

`StatusThread` reads the file, the events say when it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.clock import utc_now
from picochat.core.errors import PicochatError, refuse
from picochat.core.fs import write_json
from picochat.core.jsonio import read_json
from picochat.views.runs.run_state import RUNNING, STALLED, read_run_state

Request = Literal["stop", "stop_now"]
STOP: Request = "stop"
STOP_NOW: Request = "stop_now"
ACKNOWLEDGED = "control_ack"


class Asked(NamedTuple):
    """The newest request to a run. `acknowledged_at` is None until the run has read it."""

    request: Request
    at: str
    acknowledged_at: str | None


def ask_run(store: RunStore, request: Request) -> Asked:
    """Writes a request. Raises `run.not_running` for a run that nobody works on, `disk.*`."""
    state = read_run_state(store.root).process
    if state not in (RUNNING, STALLED):
        refuse("run.not_running", f"{store.root} is {state}")
    asked = Asked(request, utc_now(), None)
    write_json(store.path(layout.CONTROL), {"request": asked.request, "at": asked.at})
    return asked


def read_asked(store: RunStore, acknowledgements: Iterable[Mapping[str, Any]]) -> Asked | None:
    """The request that lies there, held against the events of kind `control_ack`; None for none that is known.

    An attempt removes what was asked of the one before, so what lies there is for this one.
    """
    try:
        found = read_json(store.path(layout.CONTROL))
    except (PicochatError, OSError):
        return None
    request, at = (found.get("request"), found.get("at")) if isinstance(found, dict) else (None, None)
    if request not in (STOP, STOP_NOW) or not isinstance(at, str):
        return None
    times = [str(event["t"]) for event in acknowledgements if event.get("request") == request and str(event["t"]) >= at]
    return Asked(request, at, times[-1] if times else None)
