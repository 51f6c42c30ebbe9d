"""A run at work: stop it, go on with it, and what it costs in time and money."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.fingerprint import ACCEPTABLE
from picochat.core.confined import open_below
from picochat.pipeline.control import ACKNOWLEDGED, STOP, STOP_NOW, ask_run, read_asked
from picochat.pipeline.resuming import plan_resume
from picochat.pipeline.runner import load_run_record
from picochat.pipeline.spending.account import RunAccount, launch_config
from picochat.views.runs.run_state import RUNNING, STALLED, read_run_state
from picochat.workbench.commands.processes import command_text
from picochat.workbench.problems import Problem
from picochat.workbench.routing import Accepted, Call, Question, Route

TYPED = "stop"
"""What a person types before a run ends without a checkpoint."""
TAIL_BYTES = 1 << 20
"""A run that has heard a request ends within a step, so the acknowledgement stands near the end of its events."""
GOING_ON = (RUNNING, STALLED)
Accepts = Literal["torch_version", "package_version", "code_digest", "compile_mode", "threads", "device_kind"]


class ControlOrder(Question):
    """`stop` saves a checkpoint first; `stop_now` does not, and wants the word typed."""

    request: Literal["stop", "stop_now"] = "stop"
    typed: str = Field(default="", max_length=16)


class ResumeQuestion(Question):
    """Names of conditions that may differ, with commas between them."""

    accept: str = Field(default="", max_length=200)


class ResumeOrder(Question):
    """Conditions that may differ; the resume is then not called exact."""

    accept: list[Accepts] = Field(default=[], max_length=8)


def show_control(call: Call) -> dict[str, Any]:
    """What may be asked of the run, and what was asked."""
    store, name = call.run, call.names["run"]
    state = read_run_state(store.root)
    asked = read_asked(store, recent_acknowledgements(store)) if state.process in GOING_ON else None
    return {
        "state": state.state,
        "can_stop": state.process in GOING_ON and asked is None,
        "asked": asked._asdict() if asked else None,
        "commands": {STOP: f"picochat stop {name}", STOP_NOW: f"picochat stop {name} --now"},
    }


def control(call: Call) -> Accepted:
    """Asks the run to stop. Raises `run.not_running`, 422 when the word was not typed."""
    order, store = call.body, call.run
    if order.request == STOP_NOW and order.typed != TYPED:
        raise Problem(422, "control.typed", f"a stop without a checkpoint wants the word {TYPED!r} typed")
    asked = ask_run(store, order.request)
    call.bench.desk.audit("control", "", run=store.root.name, request=order.request, login=call.login)
    return Accepted(asked._asdict())


def show_resume(call: Call) -> dict[str, Any]:
    """What a resume would begin with: its command, and its conditions beside those of the checkpoint."""
    store = call.run
    state = read_run_state(store.root).process
    accept = [name for name in call.query.accept.split(",") if name]
    if unknown := sorted({*accept} - ACCEPTABLE):
        raise Problem(422, "query", f"accept: {unknown[0]!r} is no condition that may differ")
    found = plan_resume(store, load_run_record(store), accept)
    why_not = f"the run is {state}" if state in GOING_ON else found.why_not
    return found._asdict() | {
        "argv": list(found.argv),
        "conditions": [row._asdict() for row in found.conditions],
        "command": command_text(found.argv),
        "state": state,
        "why_not": why_not,
        "can_start": not why_not,
    }


def resume(call: Call) -> Accepted:
    """Goes on with the run, as a command. Raises 409 where it cannot be started here, `process.busy`."""
    store = call.run
    state = read_run_state(store.root).process
    found = plan_resume(store, load_run_record(store), call.body.accept)
    if why_not := f"the run is {state}" if state in GOING_ON else found.why_not:
        raise Problem(409, "resume.refused", why_not, fix=command_text(found.argv))
    started = call.bench.processes.start(found.argv, run=store.root.name, title="Resume")
    call.bench.desk.audit("resume", "", run=store.root.name, process=started.id, login=call.login)
    return Accepted({"process": started.id})


def show_money(call: Call) -> dict[str, Any]:
    """Time and money, as the run itself counts them."""
    store = call.run
    account: RunAccount = call.bench.memo.read(
        ("account", store.root.name), [store.path(layout.RUN)], lambda: RunAccount(launch_config(store))
    )
    return account.read(store.path(layout.EVENTS), read_run_state(store.root))._asdict()


def recent_acknowledgements(store: RunStore) -> list[dict[str, Any]]:
    """The events of kind `control_ack` near the end of the file."""
    try:
        with open_below(store.root, layout.EVENTS) as stream:
            stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
            lines = stream.read(TAIL_BYTES).split(b"\n")[:-1]
    except OSError:
        return []
    found = []
    for line in lines:
        if ACKNOWLEDGED.encode() not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the first line may be half of one
        if isinstance(event, dict) and event.get("kind") == ACKNOWLEDGED and "t" in event:
            found.append(event)
    return found


ROUTES = [
    Route("GET", "api/runs/{run}/control", show_control, "What was asked of the run", "picochat status RUN"),
    Route("POST", "api/runs/{run}/control", control, "Ask it to stop", "picochat stop RUN", body=ControlOrder),
    Route(
        "GET",
        "api/runs/{run}/resume",
        show_resume,
        "What a resume begins with",
        "picochat checkpoint list RUN",
        ResumeQuestion,
    ),
    Route("POST", "api/runs/{run}/resume", resume, "Go on with it", "picochat run --resume", body=ResumeOrder),
    Route("GET", "api/runs/{run}/money", show_money, "Time and money", "picochat status RUN --json"),
]
