"""What a person should hear of a run without looking for it."""

from __future__ import annotations

import stat
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.event_tail import EventScan
from picochat.core.fs import free_bytes
from picochat.views.runs.alerts import KINDS_OF_EVENTS, find_alerts
from picochat.views.runs.run_state import read_run_state
from picochat.workbench.bench import is_kind
from picochat.workbench.routing import Call, Route


def list_alerts(call: Call) -> dict[str, Any]:
    """The alerts of a run, the worst first. Events that cannot be read are said by the state of the run."""
    store = call.run
    state = read_run_state(store.root)
    key = ("alerts", store.root.name)
    scan: EventScan = call.bench.memo.read(key, (), lambda: EventScan(KINDS_OF_EVENTS))
    try:
        events, _ = scan.read(store.path(layout.EVENTS))
    except (OSError, PicochatError):
        events = []
    working = state.process in ("running", "stalled")
    free = free_bytes(store.root) if working else None
    found = find_alerts(state, events, free_bytes=free, save_bytes=newest_save_bytes(store))
    return {"alerts": [alert._asdict() for alert in found]}


def newest_save_bytes(store: RunStore) -> int | None:
    """What the checkpoint of the last training takes on disk; None where there is none yet."""
    for stage in (layout.SFT, layout.BASE):
        folder = store.path(layout.checkpoint_dir(stage))
        if is_kind(folder, stat.S_ISDIR):
            try:
                return sum(path.lstat().st_size for path in folder.iterdir())
            except OSError:
                return None  # it is being exchanged at this moment
    return None


ROUTES = [Route("GET", "api/runs/{run}/alerts", list_alerts, "What a run calls for", "picochat status RUN")]
