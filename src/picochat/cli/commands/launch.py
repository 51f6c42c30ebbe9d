"""picochat launch: another machine, with a cap. Only `start` spends, and only after the cap was typed."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Any

import click

from picochat.artifacts.checks import CheckResult, overall
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.dataset_tables import show_tables
from picochat.core.clock import SystemClock
from picochat.core.errors import refuse
from picochat.pipeline.config import RunConfig
from picochat.pipeline.launch.build import Order, build_dry_run, build_launch_plan
from picochat.pipeline.launch.confirm import Confirmations, require_cap
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.dry_run import judge_dry_run, read_dry_run
from picochat.pipeline.launch.judging import judge_plan, run_of
from picochat.pipeline.launch.readiness import ask_readiness, judge_targets
from picochat.pipeline.launch.records import LaunchPlan, Target
from picochat.pipeline.launch.render.table import RENDERINGS
from picochat.pipeline.launch.ssh import SshProvider
from picochat.pipeline.launch.start import start_launch
from picochat.pipeline.plan.cards import parse_gpus
from picochat.pipeline.preflight.machine import ask_doctor
from picochat.pipeline.runner import load_run_record
from picochat.views.launch import checks_table, plan_lines, plans_table, readiness_lines

BLOCKED = 3


@click.group()
def launch() -> None:
    """Plan a run on rented GPUs, rehearse it, start it under a cap, follow it, stop it."""


@launch.command()
@options.run_argument
@click.option("--gpus", metavar="8xH100", help="How many of which card, over all nodes.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rate", metavar="DOLLARS", help="Of one GPU for an hour, as 3.00.")
@click.option("--cap", metavar="DOLLARS", help="What the run may cost in all, as 430.00.")
@click.option("--target", "kind", type=click.Choice(list(RENDERINGS)), default="ssh", show_default=True)
@click.option("--host", help="For ssh: user@machine.")
@click.option("--port", type=click.IntRange(1, 65_535))
@click.option("--folder", default="picochat", show_default=True, help="The working folder there.")
@click.option("--python", default="python3", show_default=True, help="The interpreter there that has picochat.")
@click.option("--queue", help="For Slurm: the partition.")
@click.option("--flavor", help="For a job of the hub: the kind of machine.")
@click.option("--image", help="A container by digest: name@sha256:...")
@click.option("--env", "environment", multiple=True, metavar="NAME", help="A variable that must be set there.")
@click.option("--autostop", type=click.IntRange(1, 1440), default=15, show_default=True, help="Minutes after the end.")
@options.json_option
def plan(run: str | None, as_json: bool, **asked: Any) -> None:
    """Write a plan for RUN, whose data is built; without --gpus list the plans that there are. Spends nothing."""
    desk = open_desk()
    if asked["gpus"] is None:
        list_plans(desk, as_json=as_json)
        return
    if not asked["rate"] or not asked["cap"]:
        raise click.UsageError("--gpus needs --rate and --cap: what a GPU-hour costs, and what the run may cost in all")
    store = options.find_run(run)
    record = load_run_record(store)
    config = RunConfig.from_dict(record.config, str(store.root))
    places = ("host", "port", "folder", "python", "queue", "flavor", "image")
    target = Target.from_json({"kind": asked["kind"], **{key: asked[key] for key in places}}, "target")
    order = Order(
        parse_gpus(asked["gpus"]),
        asked["nodes"],
        target,
        asked["rate"],
        asked["cap"],
        tuple(sorted(set(asked["environment"]))),
        asked["autostop"],
        config.distributed.strategy,
    )
    made = build_launch_plan(store, record, config, order)
    desk.add_plan(made)
    show_plan(made, judge(made, store, desk, ask=False), as_json=as_json)


@launch.command()
@options.run_argument
@options.json_option
@click.pass_context
def ready(ctx: click.Context, run: str | None, as_json: bool) -> None:
    """Show where RUN (default: the newest) could be started: this processor, one GPU, eight. Exit code 3: nowhere."""
    store = options.find_run(run)
    targets = judge_targets(ask_readiness(store, open_desk(), ask_doctor()))
    if as_json:
        print_json({"run": str(store.root), "targets": [target.to_json() for target in targets]})
    else:
        for line in readiness_lines([target.to_json() for target in targets], str(store.root)):
            build_console().print(line, markup=False)
    ctx.exit(0 if any(target.ready == "ready" for target in targets) else BLOCKED)


@launch.command("dry-run")
@click.argument("plan_name", metavar="PLAN")
@click.option("--attach", metavar="RUN", help="Judge a run folder that came back from the dry run.")
@options.json_option
@click.pass_context
def dry_run(ctx: click.Context, plan_name: str, attach: str | None, as_json: bool) -> None:
    """Make the plan of PLAN's first 100 steps, with a small cap of its own; with --attach judge what came of it."""
    desk = open_desk()
    planned = desk.find_plan(plan_name)
    if attach is None:
        made = build_dry_run(planned)
        desk.add_plan(made)
        show_plan(made, [], as_json=as_json)
        return
    checks = judge_dry_run(planned, read_dry_run(options.find_run(attach).root))
    desk.write_dry_run(planned.digest(), checks, attach)
    desk.audit("dry_run", planned.digest(), verdict=overall(checks))
    if as_json:
        print_json({"plan": planned.digest(), "checks": [check.to_json() for check in checks]})
    else:
        show_tables([checks_table(check.to_json() for check in checks)])
    ctx.exit(BLOCKED if overall(checks) == "blocked" else 0)


@launch.command()
@click.argument("plan_name", metavar="PLAN")
@click.option("--confirm-cap", metavar="DOLLARS", help="Without a terminal: the cap, to the letter.")
@click.option("--plan-digest", metavar="SHA256", help="Without a terminal: the whole digest of what was read.")
@options.json_option
def start(plan_name: str, confirm_cap: str | None, plan_digest: str | None, as_json: bool) -> None:
    """Start PLAN over ssh after its cap was typed. This spends money, once: a plan is started at most one time."""
    desk = open_desk()
    planned = desk.find_plan(plan_name)
    if planned.target.kind != "ssh":
        refuse(
            "launch.target",
            f"{planned.target.kind} is submitted by you",
            fix=f"picochat launch status {plan_name} --render",
        )
    store, login = find_planned(planned), getpass.getuser()
    checks = judge(planned, store, desk, ask=True)
    confirmations = Confirmations(SystemClock())
    if confirm_cap is None and plan_digest is None:
        show_plan(planned, checks, as_json=False, stderr=True)
        typed, read = ask_for_cap(planned), planned.digest()
    else:
        typed, read = confirm_cap or "", plan_digest or ""
    if read != planned.digest():
        refuse("launch.challenge", f"--plan-digest is {read[:12] or 'missing'}, the plan is {planned.digest()[:12]}")
    require_cap(planned, typed)
    challenge = confirmations.issue(planned, login)
    started = start_launch(
        desk,
        planned,
        lambda: confirmations.consume(challenge.value, planned, login, typed),
        lambda _: judge(planned, store, desk, ask=True),
        SshProvider(store.root),
        login,
    )
    if as_json:
        print_json({"plan": planned.digest(), "id": started.id, **started.detail})
    else:
        build_console().print(f"started {started.id}\npicochat launch status {planned.digest()[:12]}", markup=False)


@launch.command()
@click.argument("plan_name", metavar="PLAN")
@click.option("--render", is_flag=True, help="Print the file or script to submit instead.")
@click.option("--fetch", type=click.Path(path_type=Path), metavar="FOLDER", help="Copy the run back, and verify it.")
@options.json_option
def status(plan_name: str, render: bool, fetch: Path | None, as_json: bool) -> None:
    """Show PLAN, its trail, and over ssh how the run stands there."""
    desk = open_desk()
    planned = desk.find_plan(plan_name)
    if render:
        click.echo(RENDERINGS[planned.target.kind](planned), nl=False)
        return
    found = desk.read_start(planned.digest())
    there: dict[str, Any] | None = None
    if found and found["state"] == "started" and planned.target.kind == "ssh":
        provider = SshProvider(find_planned(planned).root)
        there = provider.status(planned)
        if fetch is not None:
            for line in provider.fetch(planned, fetch):
                build_console(stderr=True).print(line, markup=False)
    elif fetch is not None:
        refuse("launch.unknown", f"plan {planned.digest()[:12]} was not started: there is nothing to fetch")
    body = {
        "plan": planned.digest(),
        "start": found,
        "there": there,
        "dry_run": desk.read_dry_run(planned.digest()),
        "audit": desk.audit_lines(planned.digest()),
    }
    if as_json:
        print_json(body)
        return
    lines = [
        *plan_lines(planned.to_json(), planned.digest()),
        f"State     {found['state'] if found else 'not started'}",
    ]
    if there:
        at = f"step {there.get('step')} of {there.get('steps')}"
        lines.append(f"There     {there.get('state')}, stage {there.get('stage')}, {at}")
    build_console().print("\n".join(lines), markup=False)


@launch.command()
@click.argument("plan_name", metavar="PLAN")
def stop(plan_name: str) -> None:
    """Ask the run of PLAN to save a checkpoint and stop. The machine itself is given back by its own autostop."""
    desk = open_desk()
    planned = desk.find_plan(plan_name)
    if desk.read_start(planned.digest()) is None:
        refuse("launch.unknown", f"plan {planned.digest()[:12]} was not started")
    SshProvider(find_planned(planned).root).stop(planned)
    desk.audit("stop", planned.digest(), login=getpass.getuser())
    build_console().print("asked: the run saves a checkpoint and stops", markup=False)


def open_desk() -> LaunchDesk:
    """The desk of the runs folder."""
    return LaunchDesk(options.runs_dir())


def find_planned(planned: LaunchPlan) -> RunStore:
    """The run whose files travel: the one that has them, by the name in the plan."""
    return options.find_run(run_of(planned))


def judge(planned: LaunchPlan, store: RunStore, desk: LaunchDesk, *, ask: bool) -> list[CheckResult]:
    """The preconditions as they are now; `ask` the other side too."""
    return judge_plan(planned, store, desk, SshProvider(store.root) if ask else None)


def ask_for_cap(planned: LaunchPlan) -> str:
    """What a person types at a terminal. Raises click.UsageError without one: nothing is ever assumed."""
    if not (sys.stdin.isatty() and os.isatty(2)):
        raise click.UsageError("without a terminal give --confirm-cap and --plan-digest")
    return click.prompt(
        f"Type the cap to start {planned.target.host}: $", prompt_suffix="", default="", show_default=False, err=True
    )


def show_plan(planned: LaunchPlan, checks: list[CheckResult], *, as_json: bool, stderr: bool = False) -> None:
    """The plan and its preconditions."""
    document = [check.to_json() for check in checks]
    if as_json:
        print_json({"digest": planned.digest(), "plan": planned.to_json(), "checks": document})
        return
    build_console(stderr=stderr).print("\n".join(plan_lines(planned.to_json(), planned.digest())), markup=False)
    if document and not stderr:
        show_tables([checks_table(document)])


def list_plans(desk: LaunchDesk, *, as_json: bool) -> None:
    """All plans of the desk with what became of each."""
    plans = [
        (plan, plan.digest(), (desk.read_start(plan.digest()) or {}).get("state", "not started"))
        for plan in desk.plans()
    ]
    if as_json:
        print_json([{"digest": digest, "state": state, "plan": plan.to_json()} for plan, digest, state in plans])
        return
    show_tables([plans_table((plan.to_json(), digest, state) for plan, digest, state in plans)])
