"""What a person should hear of a run without looking for it: each thing once, with the number that says so.

Made of the run's state, of its rare events, and of the disk under it. Only the newest attempt is spoken of: what an
earlier one met was answered by whoever went on, and of a run that has finished the gate speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from picochat.views.formats import format_bpb, format_bytes, format_money
from picochat.views.runs.run_state import CRASHED, FINISHED, STALLED, RunState

Kind = Literal["nan", "spike", "plateau", "stalled", "crashed", "rank_lost", "disk", "cap", "blocked"]
KINDS_OF_EVENTS = ("guard_skipped", "eval", "warning", "failed", "resumed", "stage_started")
CAP_NEAR = "launch.cap_near"
LOST = frozenset({"launch.peer_lost", "launch.main_lost", "workers.lost"})
PLATEAU_EVALS = 5
"""So many evaluations in a row without a gain, after at least as many before them."""
PLATEAU_BPB = 0.001
"""A smaller gain is none: the third decimal is the last one that is shown."""


class Alert(NamedTuple):
    """`id` stays the same while the same thing goes on, so that a page can speak of it once."""

    id: str
    kind: Kind
    tone: Literal["warn", "block"]
    text: str
    since: str | None


def find_alerts(
    state: RunState,
    events: Iterable[Mapping[str, Any]],
    *,
    free_bytes: int | None = None,
    save_bytes: int | None = None,
) -> list[Alert]:
    """The alerts of a run, the worst first. `save_bytes` is what its newest checkpoint takes."""
    newest = _newest_attempt(events) if state.process != FINISHED else []
    attempt = newest[-1].get("attempt") if newest else state.attempt
    found = [
        *_of_state(state),
        *_of_guard(newest),
        *_of_failure(newest),
        *_plateau(newest),
        *_cap(newest),
        *_disk(free_bytes, save_bytes),
    ]
    named = [alert._replace(id=f"{alert.kind}:{attempt}{alert.id}") for alert in found]
    return sorted(named, key=lambda alert: alert.tone != "block")


def _newest_attempt(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for event in events:
        if found and event.get("attempt") != found[-1].get("attempt"):
            found = []
        found.append(event)
    return found


def _of_state(state: RunState) -> list[Alert]:
    found = []
    if state.process == STALLED:
        found.append(Alert("", "stalled", "warn", "its process lives and has not beaten", state.updated_at))
    if state.process == CRASHED:
        found.append(Alert("", "crashed", "block", "its process is gone without a word", state.updated_at))
    if state.verdict == "blocked":
        found.append(Alert("", "blocked", "block", f"the gate says blocked under {state.profile}", None))
    return found


def _of_guard(events: list[Mapping[str, Any]]) -> list[Alert]:
    """Steps that were rejected: numbers that are not finite stand as null in the events."""
    skipped = [event for event in events if event.get("kind") == "guard_skipped"]
    infinite = [event for event in skipped if event.get("loss") is None or event.get("grad_norm") is None]
    spikes = [event for event in skipped if event not in infinite]
    return [*_rejected("nan", infinite, "not finite"), *_rejected("spike", spikes, "far out of line")]


def _rejected(kind: Literal["nan", "spike"], events: list[Mapping[str, Any]], what: str) -> list[Alert]:
    if not events:
        return []
    steps = "1 step was" if len(events) == 1 else f"{len(events):,} steps were"
    text = f"{steps} rejected, loss or gradient {what}; the last one was step {events[-1].get('step')}"
    tone = "block" if kind == "nan" else "warn"
    return [Alert(f":{events[0].get('step')}", kind, tone, text, _time(events[-1]))]


def _of_failure(events: list[Mapping[str, Any]]) -> list[Alert]:
    failed = [event for event in events if event.get("kind") == "failed"]
    if not failed:
        return []
    code, detail = str(failed[-1].get("code")), str(failed[-1].get("detail"))
    if code in LOST:
        return [Alert("", "rank_lost", "block", detail, _time(failed[-1]))]
    return [Alert(":full", "disk", "block", detail, _time(failed[-1]))] if code.startswith("disk.") else []


def _plateau(events: list[Mapping[str, Any]]) -> list[Alert]:
    evals = [event for event in events if event.get("kind") == "eval" and isinstance(event.get("bpb"), int | float)]
    evals = [event for event in evals if event.get("stage") == evals[-1].get("stage")] if evals else []
    before, late = evals[:-PLATEAU_EVALS], evals[-PLATEAU_EVALS:]
    if len(before) < PLATEAU_EVALS:
        return []
    best = min(before, key=lambda event: event["bpb"])
    if min(event["bpb"] for event in late) < best["bpb"] - PLATEAU_BPB:
        return []
    text = (
        f"held-out BPB has not fallen below {format_bpb(best['bpb'])} of step {best.get('step')} in {len(late)} looks"
    )
    return [Alert(f":{best.get('step')}", "plateau", "warn", text, _time(late[0]))]


def _cap(events: list[Mapping[str, Any]]) -> list[Alert]:
    near = [event for event in events if event.get("kind") == "warning" and event.get("code") == CAP_NEAR]
    if not near:
        return []
    spent, cap = (format_money(near[0].get(key)) for key in ("spent_usd", "cap_usd"))
    return [Alert("", "cap", "warn", f"{spent} of {cap} were spent: over 80 % of the cap", _time(near[0]))]


def _disk(free_bytes: int | None, save_bytes: int | None) -> list[Alert]:
    """A save needs room for a third copy for a moment, and one fifth more."""
    if free_bytes is None or not save_bytes or free_bytes >= 2 * 1.2 * save_bytes:
        return []
    text = f"{format_bytes(free_bytes)} are free, and a checkpoint takes {format_bytes(save_bytes)}"
    return [Alert(":low", "disk", "warn" if free_bytes >= 1.2 * save_bytes else "block", text, None)]


def _time(event: Mapping[str, Any]) -> str | None:
    when = event.get("t")
    return when if isinstance(when, str) else None
