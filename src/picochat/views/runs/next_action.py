"""What to do next with a run: one sentence and one command, the same on the terminal, in JSON and on the page.

A state machine over what is known of the run; each state has a golden text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from picochat.core.reasons import REASONS
from picochat.views.fixes import fill_fix
from picochat.views.runs.run_state import (
    BLOCKED,
    CRASHED,
    FAILED,
    FINISHED,
    RUNNING,
    STALLED,
    STALLED_AFTER_S,
    STOPPED,
    UNREADABLE,
    RunState,
)
from picochat.views.runs.stage_rail import STEPS, blocks, checks_by_step, usable_checks

_WORD = re.compile(r"[A-Z][A-Z0-9_=]*|--[a-z][a-z-]*|-[a-z]")
_SUBCOMMAND = re.compile(r"[a-z][a-z-]*")
_END = re.compile(r"[,;:()]| then ")


class NextAction(NamedTuple):
    """`state` names the row of the state machine, `command` may hold words in capitals that its reader fills in."""

    state: str
    sentence: str
    command: str


class Known(NamedTuple):
    """What the state machine decides from."""

    state: RunState
    run: str
    """The path of the run as its reader would type it."""
    profile: str | None
    gate: Mapping[str, Any]
    preflight: Mapping[str, Any]
    resume: str
    """The command that goes on with the run."""
    stale: bool
    trained: bool
    """Whether there is anything that a gate could judge."""
    repair: Mapping[str, Any] | None = None
    """The first step of the repair queue of a run that is held up; see `judgement.repair_queue`."""


def next_action(known: Known) -> NextAction:
    """The first row that fits."""
    state = known.state
    if state.state == UNREADABLE:
        return _unreadable(known)
    row = _BY_PROCESS.get(state.process)
    if row is not None and not (state.process == STOPPED and state.state == BLOCKED):
        return row(known)
    if state.verdict is None:
        return _before_the_gate(known)
    if known.stale:
        sentence = "The verdict speaks of other reports than those that lie there now: judge it again."
        return NextAction("stale", sentence, _on_run("gate", known))
    return _after_the_gate(known)


def first_command(fix: str) -> str | None:
    """The command that a fix begins with, without the words around it; None where it begins with none."""
    words = _END.split(fix, maxsplit=1)[0].split()
    if not words or words[0] != "picochat":
        return None
    taken = ["picochat"]
    for word in words[1:]:
        is_name = _SUBCOMMAND.fullmatch(word) and len(taken) < 3 and all(map(_SUBCOMMAND.fullmatch, taken))
        if not is_name and not _WORD.fullmatch(word):
            break
        taken.append(word)
    return " ".join(taken) if len(taken) > 1 else None


def _unreadable(known: Known) -> NextAction:
    file = known.state.unreadable[0]
    return NextAction("unreadable", f"{file.file} cannot be used ({file.why}).", _on_run("verify", known))


def _running(known: Known) -> NextAction:
    where = f"Stage {known.state.stage}" if known.state.stage else "The run"
    return NextAction("running", f"{where} is at work: nothing to do.", _on_run("status", known))


def _stalled(known: Known) -> NextAction:
    sentence = f"Its process lives and has not beaten for {STALLED_AFTER_S:.0f} s: look at its log, or stop it."
    return NextAction("stalled", sentence, _on_run("stop", known))


def _crashed(known: Known) -> NextAction:
    where = f" in stage {known.state.stage}" if known.state.stage else ""
    return NextAction("crashed", f"Its process is gone{where}: it goes on from what it has saved.", known.resume)


def _stopped(known: Known) -> NextAction:
    why = f" ({_detail(known.state)})" if known.state.error else ""
    return NextAction("stopped", f"It was stopped{why} and goes on from its checkpoint.", known.resume)


def _failed(known: Known) -> NextAction:
    where = f"Stage {known.state.stage}" if known.state.stage else "The run"
    detail = _detail(known.state) or "no reason was written"
    reason = REASONS.get(known.state.error_code or "")
    cure = f" To mend it: {fill_fix(reason.fix, known.run, known.profile)}." if reason else ""
    return NextAction("failed", f"{where} failed: {detail}.{cure}", known.resume)


_BY_PROCESS: dict[str, Callable[[Known], NextAction]] = {
    RUNNING: _running,
    STALLED: _stalled,
    CRASHED: _crashed,
    STOPPED: _stopped,
    FAILED: _failed,
}


def _before_the_gate(known: Known) -> NextAction:
    state = known.state
    if state.state == BLOCKED:
        check = next(filter(blocks, usable_checks(dict(known.preflight))), None)
        return _mend("held_back", "Held back by {} of preflight", known, check)
    if known.trained:
        sentence = "What was asked is done, and no gate has judged it."
        return NextAction("unjudged", sentence, _on_run("gate", known))
    if state.process == FINISHED:
        sentence = "What comes before training is done: the run can go on."
        return NextAction("prepared", sentence, known.resume)
    sentence = "Nothing is known of a process: start it, or go on with it."
    return NextAction("unknown", sentence, known.resume)


def _after_the_gate(known: Known) -> NextAction:
    checks = _in_order(known.gate)
    if known.state.verdict == BLOCKED:
        return _mend(
            "blocked", f"Blocked by {{}} under {known.state.profile}", known, next(filter(blocks, checks), None)
        )
    if known.state.verdict == "approved":
        weights = (known.state.weights_digest or "")[:12]
        sentence = f"Approved under {known.state.profile} for weights {weights}: hand it over, or serve it."
        return NextAction("approved", sentence, _on_run("bundle", known))
    loose = [check for check in checks if check["verdict"] in ("warn", "waived")]
    if not loose:
        return NextAction("warn", "Something warns: it is no release.", _on_run("gate", known))
    more = f", with {len(loose) - 1} more" if len(loose) > 1 else ""
    word = "is waived" if loose[0]["verdict"] == "waived" else "warns"
    sentence = f"Nothing blocks, but {loose[0]['id']} {word}{more}: it is no release."
    return NextAction("warn", sentence, f"{_on_run('gate', known)} --explain {loose[0]['id']}")


def _mend(state: str, what: str, known: Known, check: Mapping[str, Any] | None) -> NextAction:
    """The cure of the first thing that blocks, in the order in which things depend on each other."""
    if known.repair is not None:
        return _repair(state, what, known, known.repair)
    if check is None:
        sentence = f"{what.format('a check that cannot be read')}."
        return NextAction(state, sentence, _on_run("gate" if state == "blocked" else "status", known))
    fix, name = str(check.get("fix") or ""), check["id"]
    look = f"picochat gate RUN --explain {name}" if state == "blocked" else known.resume + " --preflight-only"
    cure = f": {fill_fix(fix, known.run, known.profile)}" if fix else ""
    command = fill_fix(first_command(fix) or look, known.run, known.profile)
    return NextAction(state, f"{what.format(name)}{cure}.", command)


def _repair(state: str, what: str, known: Known, step: Mapping[str, Any]) -> NextAction:
    """The first step of the queue: its checks are mended together."""
    first, *more = step["checks"]
    names = f"{first} and {len(more)} more" if more else first
    look = f"{_on_run('gate', known)} --explain {first}" if state == "blocked" else known.resume + " --preflight-only"
    cure = f": {step['fix'][0]}" if step["fix"] else ""
    return NextAction(state, f"{what.format(names)}{cure}.", step["commands"][0] if step["commands"] else look)


def _in_order(gate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Checks in the order of the places whose artifacts they judged."""
    groups = checks_by_step(dict(gate))
    return [check for step in STEPS for check in groups.get(step.name, ())]


def _on_run(command: str, known: Known) -> str:
    return shlex.join(["picochat", command, known.run])


def _detail(state: RunState) -> str:
    return (state.error or "").partition(": ")[2].rstrip(".") or (state.error or "")


def action_lines(action: NextAction) -> Iterable[str]:
    """As a terminal shows it."""
    return (f"next     {action.sentence}", f"         {action.command}")
