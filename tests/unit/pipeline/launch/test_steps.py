"""Where a plan stands in its six steps, and the commands of each: words that the program takes."""

import datetime
import shlex
from typing import Any

import click
import pytest
from tests.support.launch_plans import plan_json, sound_plan

from picochat.artifacts.checks import CheckResult
from picochat.cli.app import cli
from picochat.pipeline.launch.render.table import RENDERINGS
from picochat.pipeline.launch.scaling import scale_up
from picochat.pipeline.launch.steps import Desk, launch_steps, plan_command

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
NOTHING = Desk(None, None, None, fetched=False)
IMAGE = f"registry.example/pico@sha256:{'a' * 64}"


def check(name: str = "launch.files", verdict: str = "pass") -> CheckResult:
    return CheckResult(id=name, verdict=verdict, required=True, why="because")  # type: ignore[arg-type]


def dry_run(verdict: str = "pass", hours: float = 1) -> dict[str, Any]:
    when = (NOW - datetime.timedelta(hours=hours)).isoformat()
    return {"t": when, "run": "dry", "checks": [check("dry.steps", verdict).to_json()]}


def states(found: Desk, **changes: Any) -> list[str]:
    return [step.state for step in launch_steps(sound_plan(**changes), found, NOW)]


def test_a_new_plan_is_judged_next():
    assert states(NOTHING) == ["done", "next", "waiting", "waiting", "waiting", "waiting"]


def test_each_step_leads_to_the_one_after_it():
    judged = NOTHING._replace(checks=[check(), check("launch.dry_run", "not_run")])
    assert states(judged) == ["done", "done", "next", "waiting", "waiting", "waiting"]
    rehearsed = judged._replace(dry_run=dry_run())
    assert states(rehearsed) == ["done", "done", "done", "next", "waiting", "waiting"]
    started = rehearsed._replace(start={"state": "started", "id": "ssh:gpu-1"})
    assert states(started) == ["done", "done", "done", "done", "next", "waiting"]
    assert states(started._replace(fetched=True)) == ["done"] * 6


@pytest.mark.parametrize("verdict", ["block", "not_run"])
def test_what_does_not_hold_blocks_and_is_named(verdict: str):
    found = NOTHING._replace(checks=[check(), check("launch.ceiling", verdict)], dry_run=dry_run(verdict))
    rows = {step.id: step for step in launch_steps(sound_plan(), found, NOW)}
    assert rows["preflight"].state == rows["dry_run"].state == "blocked"
    assert rows["preflight"].why == f"launch.ceiling is {verdict} (1 in all)"
    assert rows["dry_run"].why == f"dry.steps is {verdict} (1 in all)"
    assert rows["confirm"].state == "waiting"


def test_a_dry_run_grows_old():
    found = NOTHING._replace(checks=[check()], dry_run=dry_run(hours=25))
    assert states(found)[2] == "blocked"
    assert states(found._replace(dry_run=dry_run(hours=23)))[2] == "done"
    assert states(NOTHING, dry_run_of="a" * 64)[2] == "done", "a dry run needs none"


def test_a_start_that_failed_says_so_and_one_that_was_claimed_warns():
    failed = NOTHING._replace(start={"state": "failed", "code": "launch.provider", "detail": "no answer"})
    step = launch_steps(sound_plan(), failed, NOW)[3]
    assert (step.state, step.why) == ("failed", "launch.provider: no answer")
    claimed = launch_steps(sound_plan(), NOTHING._replace(start={"state": "claimed"}), NOW)[3]
    assert "it may be billed" in claimed.why


def test_only_a_machine_over_ssh_can_be_asked():
    found = NOTHING._replace(checks=[check(), check("launch.reachable", "not_run"), check("launch.disk", "not_run")])
    slurm = plan_json()["target"] | {"kind": "slurm", "host": None}
    assert states(found)[1] == "blocked" and states(found, target=slurm)[1] == "done"
    assert launch_steps(sound_plan(target=slurm), found, NOW)[3].command.endswith("--render")


def fault(words: list[str]) -> str:
    """Why the program would not take the words, or nothing."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    try:
        command.make_context(command.name, list(words), resilient_parsing=False)
    except click.UsageError as err:
        return err.format_message()
    return ""


@pytest.mark.parametrize("kind", list(RENDERINGS))
def test_every_command_of_a_plan_is_one_that_the_program_takes(kind: str):
    target = plan_json()["target"] | {"kind": kind, "flavor": "h100x8", "image": IMAGE, "queue": "gpu"}
    plan = sound_plan(target=target, nodes=2, autostop_minutes=30, environment=["A", "B"])
    commands = [step.command for step in launch_steps(plan, NOTHING, NOW)]
    commands += [plan_command(plan, other) for other in RENDERINGS]
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "picochat" and fault(words[1:]) == "", command
    assert "--nodes 2" in commands[0] and "--env A --env B --autostop 30" in commands[0]


def test_the_plan_for_another_service_names_what_only_that_one_needs():
    plan = sound_plan()
    assert "--flavor FLAVOR --image IMAGE" in plan_command(plan, "hf_jobs")
    assert "--host" not in plan_command(plan, "slurm") and "--target slurm" in plan_command(plan, "slurm")
    assert plan_command(plan, "ssh") == plan_command(plan)
    assert plan_command(sound_plan(nonce="1" * 32, nodes=1), "skypilot").endswith("--target skypilot --env HF_TOKEN")


def test_the_same_recipe_here_on_one_and_on_eight():
    settings = {"data.pack": '"my texts"', "base.loop.tokens": "5"}
    rows = scale_up("tiny", settings, "h100-sxm", run="mine", folder="runs/mine")
    assert [row.gpus for row in rows] == [1, 1, 8]
    for row in rows:
        for command in (row.plan, row.preflight or ""):
            words = shlex.split(command)
            assert words[0] == "picochat" and fault(words[1:]) == "", command
        words = shlex.split(row.start)
        words = words[1:] if words[0] == "picochat" else words[words.index("picochat.cli") + 1 :]
        assert fault(words) == "" and words[-4:] == ["--set", 'data.pack="my texts"', "--set", "base.loop.tokens=5"]
    assert shlex.split(rows[2].start)[:3] == ["torchrun", "--standalone", "--nproc_per_node=8"]
    assert "--ddp" in rows[2].start and "--ddp" not in rows[1].start
    fresh = scale_up("tiny", {}, "h100-sxm")
    assert fresh[0].preflight is None and "--resume" not in fresh[0].start
