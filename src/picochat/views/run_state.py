"""What a run is doing now: from status.json and events.jsonl, whatever a crash left of them.

status.json is the writer's: state, stage, step, steps, tokens_seen, tokens_per_s, eta_s, host, pid, process_started,
heartbeat, beat_at_s. A writer that no longer exists has crashed, whatever the file says; one that lives and writes no
more has stalled. On another host only the file is known.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.events import iter_events
from picochat.core.jsonio import read_json

RUNNING = "running"
CRASHED = "crashed"
STALLED = "stalled"
STALLED_AFTER_S = 20.0
"""Ten beats of the status thread: a long step or a compilation is none, because the thread beats through them."""
UNKNOWN = "unknown"


class RunState(NamedTuple):
    """None is unknown, never 0."""

    name: str
    state: str
    """running, stalled, crashed, unknown, or what the run said last: finished, stopped, failed."""
    stage: str | None
    step: int | None
    steps: int | None
    tokens_per_s: float | None
    eta_s: float | None
    error: str | None
    """Code and detail of what ended the run."""
    last_event: str | None
    """Kind and time of the newest event."""
    verdict: str | None
    """Of gate.json, as it stands there; verify says whether it still holds."""
    profile: str | None
    weights_digest: str | None
    """The weights that the verdict speaks of."""


def process_start(pid: int) -> int | None:
    """When a process of this host started, in clock ticks since boot; None when it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def read_run_state(
    root: Path,
    *,
    started: Callable[[int], int | None] = process_start,
    host: str | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunState:
    """The state of a run folder. Missing and torn files are unknown, not errors.

    The age of a beat is a difference on the host's monotonic clock, which all processes of one boot share.
    """
    status, gate = _read(root / layout.STATUS), _read(root / layout.GATE)
    last = _last_event(root / layout.EVENTS)
    state = status.get("state", UNKNOWN)
    if state == RUNNING and status.get("host") == (host or platform.node()):
        state = _judge(status, started, monotonic)
    return RunState(
        name=root.name,
        state=str(state),
        stage=status.get("stage") or last.get("stage"),
        step=_number(status, "step"),
        steps=_number(status, "steps"),
        tokens_per_s=_number(status, "tokens_per_s"),
        eta_s=_number(status, "eta_s") if state == RUNNING else None,
        error=_error(status),
        last_event=f"{last['kind']} {last['t']}" if last else None,
        verdict=gate.get("verdict"),
        profile=gate.get("profile"),
        weights_digest=gate.get("weights_digest"),
    )


def _judge(status: dict[str, Any], started: Callable[[int], int | None], monotonic: Callable[[], float]) -> str:
    """What a status of this host that says "running" is worth."""
    if not _is_alive(status, started):
        return CRASHED
    beat_at_s = _number(status, "beat_at_s")
    if beat_at_s is not None and monotonic() - beat_at_s > STALLED_AFTER_S:
        return STALLED
    return RUNNING


def _is_alive(status: dict[str, Any], started: Callable[[int], int | None]) -> bool:
    """Whether the very process that wrote the status exists: a number that was given to another one does not count."""
    pid = status.get("pid")
    now = started(pid) if isinstance(pid, int) else None
    return now is not None and status.get("process_started") in (None, now)


def _number(status: dict[str, Any], key: str) -> Any:
    """A figure of the status; what is none is unknown."""
    value = status.get(key)
    return value if isinstance(value, int | float) else None


def _error(status: dict[str, Any]) -> str | None:
    error = status.get("error")
    return f"{error.get('code')}: {error.get('detail')}" if isinstance(error, dict) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except PicochatError:
        return {}
    return value if isinstance(value, dict) else {}


def _last_event(path: Path) -> dict[str, Any]:
    last: dict[str, Any] = {}
    try:
        for event in iter_events(path):
            last = event if isinstance(event, dict) and {"kind", "t"} <= event.keys() else last
    except PicochatError:
        return last
    return last
