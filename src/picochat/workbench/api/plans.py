"""Launch plans: made, judged, rehearsed, confirmed, started. Only `launch` spends, and only after the cap was typed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts.checks import CheckResult, overall
from picochat.artifacts.store import RunStore
from picochat.core.clock import utc_now
from picochat.core.errors import PicochatError
from picochat.pipeline.config import RunConfig
from picochat.pipeline.launch.build import Order, build_dry_run, build_launch_plan
from picochat.pipeline.launch.confirm import LIFETIME_S
from picochat.pipeline.launch.dry_run import judge_dry_run, read_dry_run
from picochat.pipeline.launch.judging import judge_plan, run_of
from picochat.pipeline.launch.records import LaunchPlan, Target, TargetKind
from picochat.pipeline.launch.render.table import RENDERINGS
from picochat.pipeline.launch.steps import SHORT, Desk, launch_steps, plan_command
from picochat.pipeline.plan.cards import Fleet, find_card
from picochat.pipeline.runner import load_run_record
from picochat.views.checks import check_rows
from picochat.views.launch import dry_run_line, plan_lines
from picochat.workbench.bench import Workbench, is_id
from picochat.workbench.commands.launching import Confirmed
from picochat.workbench.problems import Problem, not_found
from picochat.workbench.routing import Accepted, Call, Question, Route

DIGEST = re.compile(r"[0-9a-f]{64}")
JUDGED_FOR_S = 900.0
"""How long the page may lean on preconditions that were judged: the start judges them again in any case."""


class PlanOrder(Question):
    """What a person asks for; every text has the pattern of the plan's own record."""

    run: str = Field(max_length=80)
    gpus: int = Field(ge=1, le=65_536)
    card: str = Field(max_length=40)
    nodes: int = Field(default=1, ge=1, le=1024)
    rate: str = Field(max_length=16)
    cap: str = Field(max_length=16)
    target: Literal["ssh", "torchrun", "slurm", "skypilot", "hf_jobs"] = "ssh"
    host: str | None = Field(default=None, max_length=300)
    port: int | None = Field(default=None, ge=1, le=65_535)
    folder: str = Field(default="picochat", max_length=256)
    python: str = Field(default="python3", max_length=256)
    queue: str | None = Field(default=None, max_length=80)
    flavor: str | None = Field(default=None, max_length=80)
    image: str | None = Field(default=None, max_length=300)
    environment: list[str] = Field(default=[], max_length=64)
    autostop_minutes: int = Field(default=15, ge=1, le=1440)


class DryRunOrder(Question):
    """Without `attach` a second plan is made; with it a run folder that came back is judged."""

    attach: str | None = Field(default=None, max_length=80)


class LaunchOrder(Question):
    """The confirmation: all of it as text, and nothing of it has a default."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    challenge: str = Field(max_length=64)
    cap: str = Field(max_length=32)
    idempotency_key: str = Field(pattern=r"^[A-Za-z0-9-]{8,64}$")


def list_plans(call: Call) -> dict[str, Any]:
    """All plans, the newest first; one that was changed after it was written is a state."""
    return {"plans": [_listed(call, digest) for digest in call.bench.desk.plan_digests() if DIGEST.fullmatch(digest)]}


def _listed(call: Call, digest: str) -> dict[str, Any]:
    desk = call.bench.desk
    path = desk.plan_path(digest)
    try:
        plan = call.bench.memo.read(("plan", digest), [path], lambda: desk.find_plan(digest))
        start = desk.read_start(digest)
    except PicochatError as err:
        return {"digest": digest, "state": "unreadable", "why": err.detail}
    return {
        "digest": digest,
        "state": start["state"] if start else "not started",
        "name": plan.name,
        "run": run_of(plan),
        "profile": plan.profile,
        "where": f"{plan.nodes} x {plan.gpus_per_node} {plan.card}",
        "target": plan.target.kind,
        "estimate_usd": plan.money.estimate_usd[1],
        "cap_usd": plan.money.cap_usd,
        "created_at": plan.created_at,
        "dry_run_of": plan.dry_run_of,
    }


def show_plan(call: Call) -> dict[str, Any]:
    """One plan: what it is, where it stands, how it is written out for its target."""
    return plan_view(call, find_plan(call))


def make_plan(call: Call) -> Accepted:
    """Writes a plan for a run whose data is built. Spends nothing. Raises `launch.*`, `plan.*`, 422 for a value that
    a plan does not take."""
    store = call.bench.run(call.body.run)
    record = load_run_record(store)
    config = RunConfig.from_dict(record.config, store.root.name)
    try:
        plan = build_launch_plan(store, record, config, _order(call.body, config))
    except PicochatError as err:
        if err.code != "artifact.schema":
            raise
        raise Problem(422, "body", err.detail, fix="correct the field that is named") from None
    return _added(call, plan)


def _order(asked: PlanOrder, config: RunConfig) -> Order:
    places = ("host", "port", "folder", "python", "queue", "flavor", "image")
    return Order(
        Fleet(count=asked.gpus, card=find_card(asked.card)),
        asked.nodes,
        Target.from_json({"kind": asked.target, **{key: getattr(asked, key) for key in places}}, "target"),
        asked.rate,
        asked.cap,
        tuple(sorted(set(asked.environment))),
        asked.autostop_minutes,
        config.distributed.strategy,
    )


def _added(call: Call, plan: LaunchPlan) -> Accepted:
    call.bench.desk.add_plan(plan)
    call.bench.desk.audit("planned", plan.digest(), login=call.login)
    return Accepted(plan_view(call, plan), 201)


def judge(call: Call) -> Accepted:
    """Judges every precondition as it is now; the machine is asked too."""
    plan = find_plan(call)
    store = find_run(call, plan)
    checks = judge_plan(plan, store, call.bench.desk, call.bench.make_provider(plan, store))
    call.bench.judged[plan.digest()] = (call.bench.clock.monotonic(), utc_now(), checks)
    call.bench.desk.audit("judged", plan.digest(), verdict=overall(checks), login=call.login)
    return Accepted(plan_view(call, plan), 200)


def rehearse(call: Call) -> Accepted:
    """Makes the plan of the first steps, or judges what came of it."""
    plan, desk = find_plan(call), call.bench.desk
    if call.body.attach is None:
        return _added(call, build_dry_run(plan))
    checks = judge_dry_run(plan, read_dry_run(call.bench.run(call.body.attach).root))
    desk.write_dry_run(plan.digest(), checks, call.body.attach)
    desk.audit("dry_run", plan.digest(), verdict=overall(checks), login=call.login)
    return Accepted(plan_view(call, plan), 200)


def challenge(call: Call) -> Accepted:
    """A confirmation to be sent back within minutes, once, with the cap of exactly this plan."""
    plan = find_plan(call)
    issued = call.bench.confirmations.issue(plan, call.login)
    return Accepted({"challenge": issued.value, "digest": issued.plan_digest, "expires_in_s": LIFETIME_S}, 201)


def launch(call: Call) -> Accepted:
    """Starts the plan, once. Raises `launch.*`; every refusal is in the audit trail."""
    body = call.body
    ask = Confirmed(call.names["plan"], body.digest, body.challenge, body.cap)
    if not DIGEST.fullmatch(ask.plan):
        raise not_found("there is no plan of that digest")
    started = call.bench.launching.launch(
        ask, body.idempotency_key, call.login, lambda plan: find_run(call, plan), call.bench.make_provider
    )
    return Accepted(started)


def write_down(bench: Workbench, names: Mapping[str, str], login: str, problem: Problem) -> None:
    """A body that is no confirmation is in the trail as well."""
    bench.desk.audit("refused", names["plan"], code=problem.code, detail=problem.detail, login=login)


def follow(call: Call) -> Accepted:
    """Asks the machine how the run stands there, as a command whose output is shown."""
    plan = find_plan(call)
    words = ["launch", "status", plan.digest()]
    return Accepted({"process": call.bench.processes.start(words, run=run_of(plan), title="Launch status").id})


def fetch(call: Call) -> Accepted:
    """Copies the run back and verifies it, as a command."""
    plan = find_plan(call)
    name = f"{run_of(plan)}-back"
    if (call.bench.runs / name).exists():
        raise Problem(409, "launch.fetched", f"{name} exists already", fix="verify that run, or fetch it by hand")
    words = ["launch", "status", plan.digest(), "--fetch", str(call.bench.runs / name)]
    return Accepted({"process": call.bench.processes.start(words, run=run_of(plan), title="Fetch and verify").id})


def stop(call: Call) -> Accepted:
    """Asks the run there for a checkpoint and an orderly end, as a command."""
    plan = find_plan(call)
    words = ["launch", "stop", plan.digest()]
    return Accepted({"process": call.bench.processes.start(words, run=run_of(plan), title="Stop there").id})


def find_plan(call: Call) -> LaunchPlan:
    """The plan of the path: its whole digest, never the name of a file. Raises 404, `launch.plan`."""
    digest = call.names["plan"]
    if not DIGEST.fullmatch(digest):
        raise not_found("there is no plan of that digest")
    return call.bench.desk.find_plan(digest)


def find_run(call: Call, plan: LaunchPlan) -> RunStore:
    """The run whose files travel. Raises 404."""
    return call.bench.run(run_of(plan))


def plan_view(call: Call, plan: LaunchPlan) -> dict[str, Any]:
    """A plan as the page shows it: what is in it is the document's own, in the words of the command."""
    digest, desk = plan.digest(), call.bench.desk
    judged = call.bench.judged.get(digest)
    dry_run, start, back = desk.read_dry_run(digest), desk.read_start(digest), f"{run_of(plan)}-back"
    found = Desk(judged[2] if judged else None, dry_run, start, is_id(back) and (call.bench.runs / back).is_dir())
    document = plan.to_json()
    return {
        "digest": digest,
        "short": digest[:SHORT],
        "lines": plan_lines(document, digest),
        "run": run_of(plan),
        "plan": document | {"files": None},
        "gpus": plan.gpus,
        "travels": {"files": len(plan.files), "bytes": sum(file.bytes for file in plan.files)},
        "checks": _judged(call, judged),
        "dry_run": {**dry_run, "rows": _rows(dry_run["checks"])} if dry_run else None,
        "dry_run_line": dry_run_line(document, dry_run),
        "start": start,
        "audit": desk.audit_lines(digest),
        "steps": [step._asdict() for step in launch_steps(plan, found, datetime.datetime.now(datetime.UTC))],
        "rendering": _rendering(plan),
        "other_targets": [
            {"target": kind, "command": plan_command(plan, kind)} for kind in RENDERINGS if kind != plan.target.kind
        ],
    }


def _judged(call: Call, judged: tuple[float, str, list[CheckResult]] | None) -> dict[str, Any] | None:
    """The preconditions as they were judged last, and whether the page may still lean on them."""
    if judged is None:
        return None
    age_s = call.bench.clock.monotonic() - judged[0]
    rows = _rows(check.to_json() for check in judged[2])
    return {
        "judged_at": judged[1],
        "age_s": round(age_s, 1),
        "stale": age_s > JUDGED_FOR_S,
        "verdict": overall(judged[2]),
        "rows": rows,
    }


def _rows(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Check results in the words of every other table of checks."""
    return [row._asdict() for row in check_rows(checks)]


def _rendering(plan: LaunchPlan) -> dict[str, Any]:
    """What `picochat launch status PLAN --render` prints."""
    kind: TargetKind = plan.target.kind
    command = f"picochat launch status {plan.digest()[:SHORT]} --render"
    try:
        return {"target": kind, "text": RENDERINGS[kind](plan), "why": "", "command": command}
    except PicochatError as err:
        return {"target": kind, "text": None, "why": err.detail, "command": command}


ROUTES = [
    Route("GET", "api/plans", list_plans, "Launch plans", "picochat launch plan --json"),
    Route("POST", "api/plans", make_plan, "Make a plan", "picochat launch plan RUN --gpus ...", body=PlanOrder),
    Route("GET", "api/plans/{plan}", show_plan, "One plan and where it stands", "picochat launch status PLAN --json"),
    Route("POST", "api/plans/{plan}/preflight", judge, "Judge its preconditions", "picochat launch plan RUN ..."),
    Route(
        "POST", "api/plans/{plan}/dry-run", rehearse, "Rehearse it", "picochat launch dry-run PLAN", body=DryRunOrder
    ),
    Route("POST", "api/plans/{plan}/challenge", challenge, "Ask for a confirmation", "picochat launch start PLAN"),
    Route(
        "POST",
        "api/plans/{plan}/launch",
        launch,
        "Start it under its cap",
        "picochat launch start PLAN --confirm-cap CAP --plan-digest SHA256",
        body=LaunchOrder,
        refused=write_down,
    ),
    Route("POST", "api/plans/{plan}/follow", follow, "Ask how it stands there", "picochat launch status PLAN"),
    Route("POST", "api/plans/{plan}/fetch", fetch, "Copy it back", "picochat launch status PLAN --fetch FOLDER"),
    Route("POST", "api/plans/{plan}/stop", stop, "Stop it there", "picochat launch stop PLAN"),
]
