"""The six steps of a launch and where a plan stands in them, each with the command that takes it."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from picochat.artifacts.checks import CheckResult, overall
from picochat.pipeline.launch.dry_run import HOLDS_HOURS, is_fresh
from picochat.pipeline.launch.judging import run_of
from picochat.pipeline.launch.records import LaunchPlan, TargetKind

State = Literal["done", "next", "waiting", "blocked", "failed"]
SHORT = 12
"""Digits by which a command names a plan."""
DRY_RUN_CHECK = "launch.dry_run"
OTHER_SIDE = {"launch.reachable", "launch.disk"}
"""Only a machine that is reached over ssh can be asked."""


class Step(NamedTuple):
    """`waiting` needs the steps before it; `blocked` was judged, and does not hold."""

    id: Literal["plan", "preflight", "dry_run", "confirm", "follow", "fetch"]
    title: str
    state: State
    why: str
    command: str


class Desk(NamedTuple):
    """What the desk knows of one plan. `checks` are None where nobody judged since the server began."""

    checks: Sequence[CheckResult] | None
    dry_run: Mapping[str, Any] | None
    start: Mapping[str, Any] | None
    fetched: bool


def plan_command(plan: LaunchPlan, kind: TargetKind | None = None) -> str:
    """The command that makes such a plan again, or one for another kind of target, with what only that kind needs."""
    if kind is not None and kind != plan.target.kind:
        place = plan.target.model_copy(update={"kind": kind, "port": None, "host": "HOST" if kind == "ssh" else None})
        needs = {"queue": None, "flavor": None, "image": plan.target.image}
        if kind == "hf_jobs":
            needs |= {"flavor": "FLAVOR", "image": plan.target.image or "IMAGE"}
        plan = plan.model_copy(update={"target": place.model_copy(update=needs)})
    words = ["picochat", "launch", "plan", run_of(plan), "--gpus", f"{plan.gpus}x{plan.card}"]
    words += ["--nodes", str(plan.nodes)] if plan.nodes > 1 else []
    words += ["--rate", plan.money.rate_usd_per_gpu_hour, "--cap", plan.money.cap_usd, "--target", plan.target.kind]
    target = plan.target.to_json()
    for key, usual in (("host", None), ("port", None), ("folder", "picochat"), ("python", "python3")):
        words += [f"--{key}", str(target[key])] if target[key] not in (None, usual) else []
    for key in ("queue", "flavor", "image"):
        words += [f"--{key}", target[key]] if target[key] else []
    words += [word for name in plan.environment for word in ("--env", name)]
    words += ["--autostop", str(plan.autostop_minutes)] if plan.autostop_minutes != 15 else []
    return shlex.join(words)


def launch_steps(plan: LaunchPlan, found: Desk, now: datetime.datetime) -> list[Step]:
    """The first step that is not done is the next one; those after it wait, unless they were taken already."""
    name, run = plan.digest()[:SHORT], run_of(plan)
    preflight = shlex.join(
        ["picochat", "preflight", run, "--gpus", f"{plan.gpus}x{plan.card}"]
        + ["--rate", plan.money.rate_usd_per_gpu_hour, "--cap", plan.money.cap_usd]
    )
    rows = [
        Step("plan", "Plan", "done", f"sha256 {plan.digest()[:SHORT]}, any edit is another plan", plan_command(plan)),
        Step("preflight", "Preflight", *_preflight(plan, found), preflight),
        Step("dry_run", "Dry run", *_dry_run(plan, found, now), f"picochat launch dry-run {name}"),
        Step("confirm", "Confirm", *_confirm(plan, found), _start_command(plan, name)),
        Step("follow", "Follow", *_follow(found), f"picochat launch status {name}"),
        Step("fetch", "Fetch and verify", *_fetch(found), f"picochat launch status {name} --fetch runs/{run}-back"),
    ]
    return _in_order(rows)


def _start_command(plan: LaunchPlan, name: str) -> str:
    """Only over ssh something is started here; the other renderings are submitted by whoever has the account."""
    return f"picochat launch start {name}" if plan.target.kind == "ssh" else f"picochat launch status {name} --render"


def _in_order(rows: list[Step]) -> list[Step]:
    """Marks the first step that waits as the next one, when everything before it is done."""
    for number, step in enumerate(rows):
        if step.state == "done":
            continue
        if step.state == "waiting":
            rows[number] = step._replace(state="next")
        break
    return rows


def _preflight(plan: LaunchPlan, found: Desk) -> tuple[State, str]:
    if found.start is not None:
        return "done", "judged at the start"
    if found.checks is None:
        return "waiting", "the preconditions were not judged yet"
    elsewhere = {DRY_RUN_CHECK} | (set() if plan.target.kind == "ssh" else OTHER_SIDE)
    judged = [check for check in found.checks if check.id not in elsewhere]
    bad = [check for check in judged if check.verdict == "block" or (check.required and check.verdict == "not_run")]
    if overall(judged) == "blocked":
        return "blocked", f"{bad[0].id} is {bad[0].verdict} ({len(bad)} in all)"
    return "done", f"{len(judged)} preconditions hold"


def _dry_run(plan: LaunchPlan, found: Desk, now: datetime.datetime) -> tuple[State, str]:
    if plan.dry_run_of is not None:
        return "done", f"this is the dry run of plan {plan.dry_run_of[:SHORT]}"
    if found.dry_run is None:
        return ("done", "passed before the start") if found.start is not None else ("waiting", "none was judged yet")
    checks = [CheckResult.from_json(check, "dry run") for check in found.dry_run["checks"]]
    if overall(checks) == "blocked":
        bad = [check for check in checks if check.verdict in ("block", "not_run")]
        return "blocked", f"{bad[0].id} is {bad[0].verdict} ({len(bad)} in all)"
    if found.start is None and not is_fresh(str(found.dry_run["t"]), now):
        return "blocked", f"it passed more than {HOLDS_HOURS} hours ago"
    return "done", f"passed with run {found.dry_run['run']}"


def _confirm(plan: LaunchPlan, found: Desk) -> tuple[State, str]:
    if found.start is None:
        where = "type the cap" if plan.target.kind == "ssh" else f"you submit it yourself: {plan.target.kind}"
        return "waiting", where
    state = str(found.start.get("state"))
    if state == "failed":
        return "failed", f"{found.start.get('code')}: {found.start.get('detail')}"
    if state == "claimed":
        return "done", "it is being started; when nobody does so any more, look at what runs there: it may be billed"
    return "done", f"started as {found.start.get('id')}"


def _follow(found: Desk) -> tuple[State, str]:
    if found.fetched:
        return "done", "it came back"
    return "waiting", "asks the machine how the run stands"


def _fetch(found: Desk) -> tuple[State, str]:
    if found.fetched:
        return "done", "every byte was verified before it got its name"
    return "waiting", "copies the run back, verifies it, and only then shows it"
