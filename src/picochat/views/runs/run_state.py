"""What a run is doing now: from status.json, events.jsonl and the gate, whatever a crash left of them.

status.json is the writer's: state, stage, step, steps, tokens_seen, tokens_per_s, eta_s, host, pid, process_started,
heartbeat, beat_at_s. A writer that no longer exists has crashed, whatever the file says; one that lives and writes no
more has stalled. On another host only the file is known. A run shows the worst of its process and its gate.

read_run_files(root)    what the files say, without a clock: may be kept until one of them changes
judge_run_state(files)  what that is worth now
read_run_state(root)    both
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.event_tail import read_last_event
from picochat.views.runs.run_files import RunReader, Unreadable, number_at, text_at

RUNNING = "running"
CRASHED = "crashed"
STALLED = "stalled"
STOPPED = "stopped"
FINISHED = "finished"
FAILED = "failed"
BLOCKED = "blocked"
UNREADABLE = "unreadable"
UNKNOWN = "unknown"
"""Nothing was written that says a state: no process has begun, or the status is missing."""
STALLED_AFTER_S = 6.0
"""Three beats of the status thread: a long step or a compilation is none, because the thread beats through them."""
SAID = (RUNNING, STOPPED, FINISHED, FAILED, BLOCKED)
"""Words of a status; any other one is unknown."""
STATE_FILES = (layout.RUN, layout.STATUS, layout.GATE, layout.PREFLIGHT, layout.EVENTS, layout.report_path(layout.BASE))
"""What a state is read from."""


class RunState(NamedTuple):
    """None is unknown, never 0."""

    name: str
    state: str
    """The worst of process and gate: one of the words above, or what the run said last."""
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
    process: str = UNKNOWN
    """What the process alone is doing, or how it ended."""
    unreadable: tuple[Unreadable, ...] = ()
    """Files that are there and cannot be used."""
    updated_at: str | None = None
    """When the status was written last, by the wall clock of its host."""
    beat_age_s: float | None = None
    """Seconds since the last heartbeat of a process of this host that says it runs."""
    attempt: int | None = None
    spent_usd: float | None = None
    cap_usd: float | None = None
    error_code: str | None = None

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {"unreadable": [file._asdict() for file in self.unreadable]}


class RunFiles(NamedTuple):
    """What the files of a run say about its state."""

    name: str
    status: Mapping[str, Any]
    last_event: Mapping[str, Any]
    gate: Mapping[str, Any]
    """Verdict, profile and weights of gate.json."""
    held_back: bool
    """Whether preflight blocked a training that has not begun."""
    unreadable: tuple[Unreadable, ...]


def process_start(pid: int) -> int | None:
    """When a process of this host started, in clock ticks since boot; None when it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def read_run_files(root: Path) -> RunFiles:
    """Missing files are unknown, broken ones have a reason; neither is an error."""
    reader = RunReader(root)
    status, gate = reader.read(layout.STATUS), reader.read(layout.GATE)
    reader.read(layout.RUN)
    held_back = not gate and _is_held_back(reader)
    try:
        last = read_last_event(root / layout.EVENTS) or {}
    except OSError as err:
        last = {}
        reader.refuse_error(layout.EVENTS, err)
    kept = {key: text_at(gate, key) for key in ("verdict", "profile", "weights_digest")}
    return RunFiles(root.name, status, last, kept, held_back, tuple(reader.unreadable))


def _is_held_back(reader: RunReader) -> bool:
    return (
        reader.read(layout.PREFLIGHT).get("verdict") == BLOCKED
        and not (reader.root / layout.report_path(layout.BASE)).exists()
    )


def judge_run_state(
    files: RunFiles,
    *,
    started: Callable[[int], int | None] = process_start,
    host: str | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    still_s: float = 0.0,
) -> RunState:
    """The state now. The age of a beat is a difference on the host's monotonic clock, which all processes of one boot
    share; of another host only the heartbeat is known, and for how long whoever asks has seen the same one (`still_s`).
    """
    status, last = files.status, files.last_event
    process = said if (said := status.get("state")) in SAID else UNKNOWN
    here = status.get("host") == (host or platform.node())
    age_s = None
    if process == RUNNING and here:
        beat_at_s = number_at(status, "beat_at_s")
        age_s = max(0.0, monotonic() - beat_at_s) if beat_at_s is not None else None
        process = _judge(status, started, age_s)
    elif process == RUNNING and still_s > STALLED_AFTER_S:
        process = STALLED
    return RunState(
        name=files.name,
        state=_worst(process, files),
        stage=text_at(status, "stage") or text_at(last, "stage"),
        step=_step(status, last),
        steps=number_at(status, "steps"),
        tokens_per_s=number_at(status, "tokens_per_s"),
        eta_s=number_at(status, "eta_s") if process == RUNNING else None,
        error=_error(status),
        last_event=f"{last['kind']} {last['t']}" if last else None,
        verdict=files.gate["verdict"],
        profile=files.gate["profile"],
        weights_digest=files.gate["weights_digest"],
        process=process,
        unreadable=files.unreadable,
        updated_at=text_at(status, "updated_at"),
        beat_age_s=age_s,
        attempt=number_at(status, "attempt"),
        spent_usd=number_at(status, "spent_usd"),
        cap_usd=number_at(status, "cap_usd"),
        error_code=text_at(status, "error", "code"),
    )


def read_run_state(
    root: Path,
    *,
    started: Callable[[int], int | None] = process_start,
    host: str | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunState:
    """The state of a run folder. Missing and torn files are states, not errors."""
    return judge_run_state(read_run_files(root), started=started, host=host, monotonic=monotonic)


def _step(status: Mapping[str, Any], last: Mapping[str, Any]) -> Any:
    """The status is written every few seconds, an event of a step at once: what ends a process may lie between."""
    said, seen = number_at(status, "step"), number_at(last, "step")
    if seen is None or text_at(last, "stage") != text_at(status, "stage"):
        return said
    return seen if said is None else max(said, seen)


def _worst(process: str, files: RunFiles) -> str:
    """A process that works on is shown as it is: what a gate said before it is not the last word."""
    if files.unreadable:
        return UNREADABLE
    if process in (FINISHED, STOPPED, UNKNOWN) and (files.gate["verdict"] == BLOCKED or files.held_back):
        return BLOCKED
    return process


def _judge(status: Mapping[str, Any], started: Callable[[int], int | None], age_s: float | None) -> str:
    """What a status of this host that says "running" is worth."""
    if not _is_alive(status, started):
        return CRASHED
    return STALLED if age_s is not None and age_s > STALLED_AFTER_S else RUNNING


def _is_alive(status: Mapping[str, Any], started: Callable[[int], int | None]) -> bool:
    """Whether the very process that wrote the status exists: a number that was given to another one does not count."""
    pid = status.get("pid")
    now = started(pid) if isinstance(pid, int) else None
    return now is not None and status.get("process_started") in (None, now)


def _error(status: Mapping[str, Any]) -> str | None:
    error = status.get("error")
    return f"{error.get('code')}: {error.get('detail')}" if isinstance(error, dict) else None
