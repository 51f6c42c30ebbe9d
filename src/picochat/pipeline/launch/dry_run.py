"""The dry run: the first steps of the planned run itself, on the planned machine, judged before the rest is paid for.

The rehearsed run has the plan's own settings; `launch.stop_after_steps` ends it with a checkpoint. It is killed once on
the way and resumed, and its folder is then held against the plan row by row.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Evidence, Verdict
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.store import RunStore
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core.errors import PicochatError
from picochat.core.events import iter_events
from picochat.judgement.rules.preflight import settings_digest
from picochat.pipeline.launch.records import LaunchPlan
from picochat.training.ledger import spliced

STEPS = 100
HOLDS_HOURS = 24
LEAST_SPEED_FRAC = 0.8
BLOCKED_SPEED_FRAC = 0.5
COMPARED_STEPS = 10


class DryRunCheck(NamedTuple):
    """What is true of a check of a dry run."""

    why: str
    fix: str
    unit: str = ""
    direction: Literal[">=", "<=", "=="] = "=="


CHECKS: dict[str, DryRunCheck] = {
    "dry.bound": DryRunCheck("another code or configuration proves nothing about this plan", "rehearse this plan"),
    "dry.steps": DryRunCheck("a few steps show no trend", "let the dry run reach its steps", "steps", ">="),
    "dry.ranks": DryRunCheck("a rank that did not take part was not tried", "start as many ranks as planned", "ranks"),
    "dry.tokens_per_s": DryRunCheck(
        "a slower machine takes longer and costs more than estimated",
        "plan with the measured speed",
        "fraction",
        ">=",
    ),
    "dry.memory": DryRunCheck(
        "a step that hardly fits fails later", "lower base.loop.micro_batch_size", "fraction", "<="
    ),
    "dry.loss_falls": DryRunCheck(
        "a loss that does not fall is a fault of the recipe", "look at the curve", "nats", "<="
    ),
    "dry.resume": DryRunCheck(
        "a run that cannot go on exactly loses what is paid at its first crash",
        "kill the dry run once and start it again with --resume",
        "steps",
        ">=",
    ),
    "dry.errors": DryRunCheck("what fails in a hundred steps fails again", "read the events and logs", "errors", "<="),
}


class DryRun(NamedTuple):
    """What a rehearsal left behind, read once; None is not there."""

    record: RunRecord | None
    checkpoint: CheckpointManifest | None
    events: list[dict[str, Any]]
    ledger: list[dict[str, Any]]


def read_dry_run(root: Path) -> DryRun:
    """Reads a run folder, whatever is missing of it."""
    store = RunStore(root)
    return DryRun(
        _or_none(lambda: RunRecord.from_json(store.read(layout.RUN), layout.RUN)),
        _or_none(lambda: check_checkpoint_files(store.path(layout.checkpoint_dir(layout.BASE)))),
        _or_none(lambda: list(iter_events(store.path(layout.EVENTS)))) or [],
        _or_none(lambda: spliced(store.path(f"{layout.BASE}/{layout.LEDGER}"))) or [],
    )


def judge_dry_run(plan: LaunchPlan, found: DryRun) -> list[CheckResult]:
    """One row a check, each required: what was not seen blocks."""
    return [
        _result("dry.bound", *_bound(plan, found)),
        _result("dry.steps", *_limit(float(len(found.ledger)), float(STEPS), at_least=True)),
        _result("dry.ranks", *_equal(found.checkpoint.world_size if found.checkpoint else None, plan.gpus)),
        _result("dry.tokens_per_s", *_speed(plan, found)),
        _result("dry.memory", *_memory(plan, found)),
        _result("dry.loss_falls", *_loss(found)),
        _result("dry.resume", *_resume(found)),
        _result("dry.errors", *_limit(float(len(errors(found.events))), 0.0, at_least=False, known=bool(found.events))),
    ]


def is_fresh(when: str, now: datetime.datetime) -> bool:
    """Whether a result of that time still counts."""
    then = datetime.datetime.fromisoformat(when.replace("Z", "+00:00"))
    return datetime.timedelta(0) <= now - then <= datetime.timedelta(hours=HOLDS_HOURS)


def errors(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What failed, but for stops that were asked for."""
    return [event for event in events if event["kind"] == "failed" and event.get("code") != "run.stopped"]


Judged = tuple[Verdict, float | str | None, float | str | None]


def _bound(plan: LaunchPlan, found: DryRun) -> Judged:
    if found.record is None:
        return "not_run", None, plan.config_digest[:12]
    same = (settings_digest(found.record.config), found.record.code.package_digest)
    wanted = (plan.config_digest, plan.code_digest)
    shown = " and ".join(digest[:12] for digest in same), " and ".join(digest[:12] for digest in wanted)
    return ("pass" if same == wanted else "block"), *shown


def _speed(plan: LaunchPlan, found: DryRun) -> Judged:
    """The median of the measured windows but the first, over the plan's figure."""
    speeds = [event["tokens_per_s"] for event in _steps(found) if event.get("tokens_per_s")][1:]
    planned = plan.predicted.get("tokens_per_s")
    if not speeds or not planned:
        return "not_run", None, LEAST_SPEED_FRAC
    share = statistics.median(speeds) / planned
    verdict: Verdict = "pass" if share >= LEAST_SPEED_FRAC else "warn" if share >= BLOCKED_SPEED_FRAC else "block"
    return verdict, share, LEAST_SPEED_FRAC


def _memory(plan: LaunchPlan, found: DryRun) -> Judged:
    """The largest peak that an event names, over what the plan asks for."""
    peaks = [event.get("peak_memory_bytes") or event.get("rss_bytes") for event in _steps(found)]
    known, planned = [peak for peak in peaks if peak], plan.predicted.get("needed_bytes")
    if not known or not planned:
        return "not_run", None, 1.0
    return _limit(max(known) / planned, 1.0, at_least=False)


def _loss(found: DryRun) -> Judged:
    losses = [float.fromhex(line["loss"]) for line in found.ledger if line["verdict"] == "ok"]
    if len(losses) < 2 * COMPARED_STEPS:
        return "not_run", None, None
    first, last = (statistics.fmean(part) for part in (losses[:COMPARED_STEPS], losses[-COMPARED_STEPS:]))
    return ("pass" if last < first else "block"), last, first


def _resume(found: DryRun) -> Judged:
    """Steps that were done twice, and came out the same to the bit."""
    resumed = [event for event in found.events if event["kind"] == "resumed" and event.get("repeated_steps")]
    if not resumed:
        return "not_run", None, 1.0
    exact = all(event.get("exact") is True for event in resumed)
    return ("pass" if exact else "block"), float(sum(event["repeated_steps"] for event in resumed)), 1.0


def _steps(found: DryRun) -> list[dict[str, Any]]:
    return [event for event in found.events if event["kind"] == "step" and event.get("stage") == layout.BASE]


def _limit(value: float, limit: float, *, at_least: bool, known: bool = True) -> Judged:
    if not known:
        return "not_run", None, limit
    return ("pass" if (value >= limit if at_least else value <= limit) else "block"), value, limit


def _equal(value: int | None, wanted: int) -> Judged:
    if value is None:
        return "not_run", None, float(wanted)
    return ("pass" if value == wanted else "block"), float(value), float(wanted)


def _result(name: str, verdict: Verdict, measured: float | str | None, threshold: float | str | None) -> CheckResult:
    facts = CHECKS[name]
    return CheckResult(
        id=name,
        verdict=verdict,
        measured=measured,
        threshold=threshold,
        direction=facts.direction,
        unit=facts.unit,
        required=True,
        why=facts.why,
        fix=facts.fix,
        evidence=(Evidence(artifact=layout.EVENTS),),
    )


def _or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (PicochatError, OSError, KeyError, ValueError):
        return None
