"""A dry run is held against its plan row by row, and what was not seen blocks."""

import datetime
from typing import Any

import pytest
from tests.support.launch_plans import sound_plan

from picochat.artifacts.checks import overall
from picochat.artifacts.reports import CodeRecord
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.schema import SchemaTag
from picochat.checkpoint.format import CheckpointManifest
from picochat.judgement.rules.preflight import settings_digest
from picochat.pipeline.launch.build import build_dry_run
from picochat.pipeline.launch.dry_run import STEPS, DryRun, is_fresh, judge_dry_run, read_dry_run
from picochat.pipeline.launch.records import LaunchPlan

CONFIG = {"base": {"loop": {"tokens": 5}}, "launch": {"cap_usd": 1.0}, "distributed": {"strategy": "ddp"}}
CODE = "c" * 64


def plan() -> LaunchPlan:
    return sound_plan(config_digest=settings_digest(CONFIG), code_digest=CODE)


def record(config: dict[str, Any] | None = None, code: str = CODE) -> RunRecord:
    return RunRecord(
        schema=SchemaTag(name="run", version=1),
        name="dry",
        profile="h200-1b-ddp8",
        gate_profile="skill_release",
        nonce="n",
        created_at="now",
        config=config or CONFIG,
        origins={},
        code=CodeRecord(version="0", git_commit=None, git_dirty=None, package_digest=code),
        environment={},
    )


def steps(speed: float = 448_000.0, memory: float = 30e9) -> list[dict[str, Any]]:
    common = {"kind": "step", "stage": "base", "tokens_per_s": speed, "peak_memory_bytes": memory}
    return [{**common, "step": step} for step in range(10, STEPS + 1, 10)]


def resumed(exact: bool = True, repeated: int = 7) -> dict[str, Any]:
    return {"kind": "resumed", "stage": "base", "exact": exact, "repeated_steps": repeated}


def ledger(count: int = STEPS, first: float = 10.0, last: float = 6.0) -> list[dict[str, Any]]:
    slope = (last - first) / max(1, count - 1)
    return [{"step": n + 1, "loss": (first + slope * n).hex(), "verdict": "ok"} for n in range(count)]


def found(**changes: Any) -> DryRun:
    manifest = CheckpointManifest.model_construct(world_size=8)
    stopped = {"kind": "failed", "code": "run.stopped"}
    return DryRun(record(), manifest, [*steps(), resumed(), stopped], ledger())._replace(**changes)


def verdicts(dry: DryRun) -> dict[str, str]:
    return {check.id: check.verdict for check in judge_dry_run(plan(), dry)}


def test_a_sound_dry_run_passes_every_row():
    assert set(verdicts(found()).values()) == {"pass"}


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "other code": ("dry.bound", {"record": record(code="d" * 64)}),
    "other settings": ("dry.bound", {"record": record({"base": {"loop": {"tokens": 6}}})}),
    "few steps": ("dry.steps", {"ledger": ledger(STEPS - 1)}),
    "fewer ranks": ("dry.ranks", {"checkpoint": CheckpointManifest.model_construct(world_size=7)}),
    "half the speed": ("dry.tokens_per_s", {"events": [*steps(speed=200_000.0), resumed()]}),
    "more memory": ("dry.memory", {"events": [*steps(memory=41e9), resumed()]}),
    "a loss that rises": ("dry.loss_falls", {"ledger": ledger(first=6.0, last=10.0)}),
    "an inexact resume": ("dry.resume", {"events": [*steps(), resumed(exact=False)]}),
    "one exact and one not": ("dry.resume", {"events": [*steps(), resumed(), resumed(exact=False)]}),
    "a failure": ("dry.errors", {"events": [*steps(), resumed(), {"kind": "failed", "code": "launch.peer_lost"}]}),
}


@pytest.mark.parametrize("name", BAD)
def test_each_fault_blocks_its_row(name: str):
    check, changes = BAD[name]
    words = verdicts(found(**changes))
    assert words[check] == "block" and overall(judge_dry_run(plan(), found(**changes))) == "blocked"


UNSEEN: dict[str, dict[str, Any]] = {
    "dry.bound": {"record": None},
    "dry.ranks": {"checkpoint": None},
    "dry.tokens_per_s": {"events": [resumed()]},
    "dry.memory": {"events": [resumed()]},
    "dry.loss_falls": {"ledger": ledger(5)},
    "dry.resume": {"events": steps()},
    "dry.errors": {"events": []},
}


@pytest.mark.parametrize("check", UNSEEN)
def test_what_was_not_seen_was_not_run_and_blocks(check: str):
    dry = found(**UNSEEN[check])
    assert verdicts(dry)[check] == "not_run" and overall(judge_dry_run(plan(), dry)) == "blocked"


def test_a_slower_machine_warns_before_it_blocks():
    assert verdicts(found(events=[*steps(speed=300_000.0), resumed()]))["dry.tokens_per_s"] == "warn"


def test_the_first_window_compiles_and_does_not_count():
    slow = {"kind": "step", "stage": "base", "step": 1, "tokens_per_s": 1.0, "peak_memory_bytes": 1.0}
    assert verdicts(found(events=[slow, *steps(), resumed()]))["dry.tokens_per_s"] == "pass"


def test_an_empty_folder_is_no_dry_run(tmp_path):
    assert overall(judge_dry_run(plan(), read_dry_run(tmp_path))) == "blocked"


def test_cap_and_strategy_are_not_part_of_what_a_rehearsal_shares():
    other = CONFIG | {"launch": {"cap_usd": 9.0, "stop_after_steps": 100}}
    assert settings_digest(other) == settings_digest(CONFIG)
    assert settings_digest(CONFIG | {"seed": 2}) != settings_digest(CONFIG)


@pytest.mark.parametrize(("hours", "fresh"), [(0, True), (23.9, True), (24.1, False), (-1, False)])
def test_a_dry_run_holds_for_a_day(hours: float, fresh: bool):
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    then = now - datetime.timedelta(hours=hours)
    assert is_fresh(then.isoformat().replace("+00:00", "Z"), now) is fresh


def test_the_plan_of_a_dry_run_is_small_and_bound_to_its_plan():
    argv = ["-m", "picochat.cli", "run", "x", "--out-dir", "runs/letters-1b", "--set", "launch.cap_usd=430.00"]
    whole = sound_plan(argv=argv)
    dry = build_dry_run(whole)
    assert dry.dry_run_of == whole.digest() and dry.digest() != whole.digest() and dry.steps == STEPS
    assert (
        dry.money.cap_usd == "43.00" and "launch.cap_usd=43.00" in dry.argv and "launch.cap_usd=430.00" not in dry.argv
    )
    assert "runs/letters-1b-dry" in dry.argv and f"launch.stop_after_steps={STEPS}" in dry.argv
    shared = ("profile", "files", "config_digest", "code_digest", "card", "gpus_per_node", "nodes", "target")
    assert all(getattr(dry, key) == getattr(whole, key) for key in shared)
