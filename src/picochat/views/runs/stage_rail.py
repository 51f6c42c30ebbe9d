"""The rail: where a run is among its stages, what each was worth to the gate, how long it took, and where to look.

dataset -> tokenizer -> preflight -> base -> sft -> evaluate -> benchmark -> summary -> gate
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.views.runs.run_files import Document, number_at, text_at
from picochat.views.runs.run_state import BLOCKED, FINISHED, RUNNING, STALLED, UNREADABLE, RunState

NOT_RUN = "not_run"
GATE = "gate"
Event = Mapping[str, Any]


class Step(NamedTuple):
    """A place of the rail: the stages whose events it gathers, its report, its artifacts, the page that shows it."""

    name: str
    stages: tuple[str, ...]
    report: str
    artifacts: tuple[str, ...]
    page: str
    tab: str = ""


STEPS = (
    Step("dataset", ("dataset", "honesty"), layout.CORPUS_MANIFEST, ("corpus", "chat/", "honesty"), "data", "corpus"),
    Step(
        "tokenizer",
        ("tokenizer", "shards"),
        layout.TOKENIZER_REPORT,
        ("tokenizer", f"{layout.SHARDS}/"),
        "data",
        "tokens",
    ),
    Step("preflight", (), layout.PREFLIGHT, ("preflight",), "gate", "preflight"),
    Step(
        "base",
        (layout.BASE, "prediction"),
        layout.report_path(layout.BASE),
        (f"{layout.BASE}/", "prediction"),
        "curves",
        "base",
    ),
    Step("sft", (layout.SFT,), layout.report_path(layout.SFT), (f"{layout.SFT}/",), "curves", "sft"),
    Step(
        "evaluate",
        ("evaluate", "memorisation"),
        layout.report_path(layout.EVAL),
        (f"{layout.EVAL}/", "memorisation"),
        "evals",
        "fit",
    ),
    Step(
        "benchmark",
        ("benchmark", "harness"),
        layout.BENCHMARKS,
        (layout.BENCHMARKS, layout.HARNESS),
        "evals",
        "benchmarks",
    ),
    Step("summary", ("summary",), layout.SUMMARY, ("summary",), "artifacts", ""),
    Step(GATE, (), layout.GATE, (), "gate", "gate"),
)
STEP_OF_STAGE = {stage: step.name for step in STEPS for stage in step.stages}
_WORST_FIRST = ("block", "warn", "waived", "not_run", "pass")
_SHOWN = {BLOCKED: "block"}
"""The word of a preflight as the verdict of its place."""


class RailStep(NamedTuple):
    """One place. `verdict` is None until something has judged it; `elapsed_s` is the sum over all attempts."""

    name: str
    state: str
    """not_run, finished, unreadable, or what its process is doing: running, stalled, crashed, stopped, failed."""
    verdict: str | None
    elapsed_s: float | None
    blocking: tuple[str, ...]
    """Checks of the gate that block here."""
    page: str
    tab: str


def build_rail(
    state: RunState,
    present: Mapping[str, bool],
    gate: Document,
    preflight: Document,
    events: Sequence[Event],
    heard: Mapping[int, str],
    stale: bool = False,
) -> list[RailStep]:
    """All places in their order.

    `present` says of each report whether it is there, `events` are those that start and finish stages, `heard` is when
    each attempt was last heard of.
    """
    checks = checks_by_step(gate)
    elapsed = elapsed_by_step(events, heard, state.updated_at if state.process in (RUNNING, STALLED) else None)
    return [
        RailStep(
            name=step.name,
            state=_state_of(step, state, present),
            verdict=_verdict_of(step, state, gate, preflight, checks.get(step.name, []), stale),
            elapsed_s=number_at(preflight, "manifest", "duration_s")
            if step.name == "preflight"
            else elapsed.get(step.name),
            blocking=tuple(check["id"] for check in checks.get(step.name, []) if blocks(check)),
            page=step.page,
            tab=step.tab,
        )
        for step in STEPS
    ]


def blocks(check: Mapping[str, Any]) -> bool:
    """Whether a check keeps the run from being released: one that is required and was not run does."""
    return check["verdict"] == "block" or bool(check["verdict"] == "not_run" and check.get("required"))


def checks_by_step(gate: Document) -> dict[str, list[Mapping[str, Any]]]:
    """The checks of a gate by the place whose artifacts they judged first; those of no place are the gate's own."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for check in usable_checks(gate):
        found.setdefault(_step_of(check), []).append(check)
    return found


def usable_checks(gate: Document) -> list[Mapping[str, Any]]:
    """The results that a gate stands on; an entry of another form is left out."""
    entries = gate.get("checks")
    listed = entries if isinstance(entries, list) else []
    return [check for check in listed if text_at(check, "id") and text_at(check, "verdict")]


def _step_of(check: Mapping[str, Any]) -> str:
    evidence = check.get("evidence")
    path = text_at(evidence[0], "artifact") if isinstance(evidence, list) and evidence else None
    for step in STEPS if path else ():
        if path.startswith(step.artifacts):  # type: ignore[union-attr]
            return step.name
    return GATE


def _state_of(step: Step, state: RunState, present: Mapping[str, bool]) -> str:
    here = state.stage is not None and STEP_OF_STAGE.get(state.stage) == step.name
    if any(file.file == step.report for file in state.unreadable):
        return UNREADABLE
    if here and state.process != FINISHED:
        return state.process if state.process != BLOCKED else FINISHED
    return FINISHED if present.get(step.report) else NOT_RUN


def _verdict_of(
    step: Step, state: RunState, gate: Document, preflight: Document, checks: Iterable[Mapping[str, Any]], stale: bool
) -> str | None:
    if step.name == "preflight" and preflight:
        found = text_at(preflight, "verdict")
        return _SHOWN.get(found, found) if found else None
    if step.name == GATE:
        return "stale" if stale and state.verdict else state.verdict
    return worst_of(checks)


def worst_of(checks: Iterable[Mapping[str, Any]]) -> str | None:
    """The worst verdict, as the gate counts: a required check that did not run blocks, another one is not_run only
    where nothing else was judged. None without checks.
    """
    words = {"block" if blocks(check) else check["verdict"] for check in checks}
    if words > {"not_run"} and words <= {"not_run", "pass"}:
        return "pass"
    return next((word for word in _WORST_FIRST if word in words), None)


def elapsed_by_step(events: Iterable[Event], heard: Mapping[int, str], now: str | None) -> dict[str, float]:
    """Seconds of each place over all attempts; a stage that did not end counts until its attempt was last heard of.

    `now` is the time of the last beat of a process that still works.
    """
    seconds: dict[str, float] = {}
    open_stages: dict[int, tuple[str, str]] = {}
    for event in events:
        step, attempt = STEP_OF_STAGE.get(str(event.get("stage"))), event.get("attempt")
        if step is None or not isinstance(attempt, int):
            continue
        if event["kind"] == "stage_started":
            open_stages[attempt] = step, str(event["t"])
        elif event["kind"] == "stage_finished" and number_at(event, "duration_s") is not None:
            open_stages.pop(attempt, None)
            seconds[step] = seconds.get(step, 0.0) + number_at(event, "duration_s")
    newest = max(open_stages, default=0)
    for attempt, (step, started) in open_stages.items():
        ended = now if attempt == newest and now else heard.get(attempt)
        passed = seconds_between(started, ended)
        if passed is not None:
            seconds[step] = seconds.get(step, 0.0) + passed
    return {step: round(value, 3) for step, value in seconds.items()}


def seconds_between(first: str | None, second: str | None) -> float | None:
    """Seconds from one written time to another, at least 0; None where one is unknown."""
    try:
        begin, end = (datetime.datetime.fromisoformat(text) for text in (first or "", second or ""))
        return max(0.0, (end - begin).total_seconds())
    except (ValueError, TypeError):
        return None
