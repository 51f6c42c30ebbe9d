"""Whether a run could be started here, on one GPU, on eight: one verdict a target, and what is missing.

    preflight.json (text and recipe) + the machine's own checks, judged anew for each target + desk (plan, dry run)

A target with a required check that did not run is not ready. Nothing is asked of another machine and nothing is spent:
`picochat launch start` judges again.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, overall
from picochat.artifacts.reports import FileRef
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.prediction import prediction_word
from picochat.judgement.preflight.facts import ABSENT, LaunchFacts, MachineFacts, PreflightFacts, TokenFacts
from picochat.judgement.preflight.judge import MACHINE_CHECKS, judge_machine
from picochat.pipeline.config import RunConfig
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.preconditions import judge_on_paper
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.plan.build import build_plan
from picochat.pipeline.plan.cards import CPU, Fleet, find_card
from picochat.pipeline.preflight.machine import planned_machine, this_machine
from picochat.pipeline.preflight.recipe import recipe_facts
from picochat.pipeline.profiles import PROFILES
from picochat.pipeline.runner import load_run_record
from picochat.views.gate.check_sets import read_checked
from picochat.views.runs.rework import read_rework, start_command

USUAL_CARD = "h100-sxm"
"""Where the profile is for processors: the commonest rented card."""
COUNTS = (1, 8)
RELEASE = "release"
Name = Literal["local", "one_gpu", "eight_gpus"]
NAMES: tuple[Name, ...] = ("local", "one_gpu", "eight_gpus")
READY = {"approved": "ready", "warn": "ready", "blocked": "not_ready"}
"""Only a gate approves; a target is ready or it is not."""


@dataclass(frozen=True)
class Target:
    """One place where a run could go. `checks` is everything that was judged for it."""

    name: Name
    title: str
    gpus: str | None
    """As commands take it: `8xh100-sxm`; None for this machine."""
    checks: tuple[CheckResult, ...]
    plan: str | None = None
    """The digest of the launch plan, where there is one."""

    @property
    def ready(self) -> str:
        return READY[overall(list(self.checks))]

    @property
    def missing(self) -> list[CheckResult]:
        """What keeps it from being ready, in the order of the checks."""
        stops = ("block", "not_run")
        return [check for check in self.checks if check.required and check.verdict in stops]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "gpus": self.gpus,
            "ready": self.ready,
            "plan": self.plan,
            "missing": [check.id for check in self.missing],
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True)
class Question:
    """What readiness is judged on. `changed` are files that are others than those that preflight judged; `prepare` is
    the command that builds and judges the run again."""

    store: RunStore
    config: RunConfig
    profile: str
    desk: LaunchDesk
    doctor: dict[str, Any] | None
    now: datetime.datetime
    preflight: dict[str, Any] | None
    preflight_why: str
    changed: Sequence[str]
    prepare: str


def ask_readiness(
    store: RunStore,
    desk: LaunchDesk,
    doctor: dict[str, Any] | None,
    *,
    run: str | None = None,
    changed: Sequence[str] | None = None,
) -> Question:
    """The question for a run folder. `run` is its path as its reader types it; `changed` None: every file is hashed.

    Raises `run.missing`, `artifact.*` or `config.*` for a run whose record is not one of this version.
    """
    record = load_run_record(store)
    found = read_checked(store.path(layout.PREFLIGHT), "preflight")
    document = dict(found.document) if found.document else None
    if changed is None:
        changed = _changed(store, document) if document else []
    return Question(
        store=store,
        config=RunConfig.from_dict(record.config, layout.RUN),
        profile=record.profile,
        desk=desk,
        doctor=doctor,
        now=datetime.datetime.now(datetime.UTC),
        preflight=document,
        preflight_why=found.why,
        changed=changed,
        prepare=prepare_command(store, run or str(store.root)),
    )


def prepare_command(store: RunStore, run: str) -> str:
    """What judges a run before it is trained; of a trained one, what builds and judges another one like it."""
    if not store.has(layout.report_path(layout.BASE)):
        return f"picochat preflight {shlex.quote(run)}"
    facts = read_rework(store.root, run)
    return start_command(facts, "--preflight-only", run=facts.next_run)


def _changed(store: RunStore, preflight: dict[str, Any]) -> list[str]:
    """The judged files that are others now, by their digests."""
    changed = []
    for entry in preflight["manifest"]["inputs"]:
        ref = FileRef.from_json(entry, layout.PREFLIGHT)
        path = store.resolve(ref)
        if not path.is_file() or sha256_file(path) != ref.sha256:
            changed.append(ref.path)
    return changed


def judge_targets(question: Question) -> list[Target]:
    """The three targets. A fleet on which the run cannot be planned at all is a target with one check that blocks."""
    card = find_card(USUAL_CARD)
    if question.profile in PROFILES and PROFILES[question.profile].card != CPU:
        card = find_card(PROFILES[question.profile].card)
    fleets = [Fleet(count=count, card=card) for count in COUNTS]
    plans = _plans(question)
    rented = [_rented(question, name, fleet, plans) for name, fleet in zip(NAMES[1:], fleets, strict=True)]
    return [_local(question), *rented]


def _local(question: Question) -> Target:
    config, profile = question.config, PROFILES.get(question.profile)
    on_cpu = config.model_copy(update={"machine": config.machine.model_copy(update={"device": CPU})})
    ranks = profile.ranks if profile else None
    machine = this_machine(on_cpu, 1, ranks, question.store.root, question.doctor)
    asked = config.machine.device.partition(":")[0]
    if asked not in ("auto", CPU):
        machine = replace(machine, device_fault=f"machine.device is {asked}, and this is a processor")
    checks = [*_prepared(question, rented=False, gpus=None), *_machine(question, on_cpu, machine, None)]
    return Target("local", "this machine, on its processor", None, tuple(checks))


def _rented(question: Question, name: Name, fleet: Fleet, plans: list[LaunchPlan]) -> Target:
    gpus = f"{fleet.count}x{fleet.card.name}"
    title = str(fleet)
    before = _prepared(question, rented=True, gpus=gpus)
    launch = next((plan for plan in reversed(plans) if _is_for(plan, fleet)), None)
    try:
        plan = build_plan(question.config, fleet, None, question.config.distributed.strategy, profile=question.profile)
    except PicochatError as err:
        stopped = _result("launch.planned", "block", "cannot be planned", "a plan", err.detail, err.fix)
        return Target(name, title, gpus, (*before, stopped))
    expected = PROFILES[question.profile].ranks if question.profile in PROFILES else None
    machine = planned_machine(question.config, fleet, expected, plan)
    checks = [*before, *_machine(question, question.config, machine, _launch_facts(question, launch))]
    checks += _on_paper(question, launch, gpus)
    return Target(name, title, gpus, tuple(checks), launch.digest() if launch else None)


def _is_for(plan: LaunchPlan, fleet: Fleet) -> bool:
    return plan.gpus == fleet.count and plan.card == fleet.card.name and plan.dry_run_of is None


def _plans(question: Question) -> list[LaunchPlan]:
    """The plans for this run that are whole, the oldest first; a broken file hides no other."""
    found = []
    for path in question.desk.plan_path("x").parent.glob("*.json"):
        try:
            plan = question.desk.find_plan(str(path))
        except (PicochatError, OSError):
            continue
        if plan.run == question.store.root.name:
            found.append(plan)
    return sorted(found, key=lambda plan: (plan.created_at, plan.digest()))


def _prepared(question: Question, *, rented: bool, gpus: str | None) -> list[CheckResult]:
    """What preflight says of text and recipe. Absent, stale or of laxer limits it says nothing here."""
    again = f"{question.prepare} --gpus {gpus} --rate RATE --cap CAP" if gpus else question.prepare
    if question.store.has(layout.report_path(layout.BASE)):
        again = question.prepare
    body = question.preflight
    if body is None:
        return [_result("launch.judged", "not_run", None, "judged", question.preflight_why, again)]
    if question.changed:
        text = f"{question.changed[0]} is another file than the one that was judged ({len(question.changed)} in all)"
        return [_result("launch.judged", "not_run", "stale", "judged", text, again)]
    if rented and body.get("column") != RELEASE:
        text = f"judged with {body.get('column')} limits, and a rented machine gets those of a release"
        return [_result("launch.judged", "not_run", str(body.get("column")), RELEASE, text, again)]
    try:
        found = [CheckResult.from_json(check, layout.PREFLIGHT) for check in body.get("checks", ())]
    except (PicochatError, TypeError) as err:
        return [_result("launch.judged", "not_run", "unreadable", "judged", str(err), again)]
    if not found:
        return [_result("launch.judged", "not_run", "no checks", "judged", "preflight.json lists no checks", again)]
    judged = _result("launch.judged", "pass", str(body.get("column")), "judged", "", again)
    return [judged, *(check for check in found if check.id not in MACHINE_CHECKS)]


def _machine(
    question: Question, config: RunConfig, machine: MachineFacts, launch: LaunchFacts | None
) -> list[CheckResult]:
    facts = PreflightFacts(recipe=recipe_facts(config), tokens=TokenFacts(), machine=machine, launch=launch)
    return judge_machine(question.store, facts, config.summary.gate_profile)


def _launch_facts(question: Question, launch: LaunchPlan | None) -> LaunchFacts:
    """Money as the launch plan has it; what nobody planned costs nobody knows what."""
    wanted = layout.TOKENIZER_REPORT if question.config.base.data_mode == "memory" else layout.SHARDS_MANIFEST
    return LaunchFacts(
        estimate_usd=float(launch.money.estimate_usd[1]) if launch else None,
        cap_usd=float(launch.money.cap_usd) if launch else None,
        prediction=prediction_word(RunEvidence(question.store).prediction) or ABSENT,
        tokenises=not question.store.has(wanted),
    )


def _on_paper(question: Question, launch: LaunchPlan | None, gpus: str) -> list[CheckResult]:
    """A plan on the desk, its rehearsal and the ceiling."""
    if launch is None:
        run = shlex.quote(str(question.store.root))
        command = f"picochat launch plan {run} --gpus {gpus} --rate RATE --cap CAP --host HOST"
        return [_result("launch.planned", "not_run", None, "a plan", "there is no plan for this run there", command)]
    planned = _result("launch.planned", "pass", launch.digest()[:12], "a plan", "", "")
    return [planned, *judge_on_paper(launch, question.store, question.desk, question.now)]


def _result(
    name: Literal["launch.judged", "launch.planned"],
    verdict: Literal["pass", "block", "not_run"],
    measured: str | None,
    threshold: str,
    detail: str,
    fix: str,
) -> CheckResult:
    why = {
        "launch.judged": "what preflight did not see is found out on a machine that is paid for",
        "launch.planned": "what is started is one immutable plan, with a cap",
    }[name]
    return CheckResult(
        id=name,
        verdict=verdict,
        measured=measured,
        threshold=threshold,
        required=True,
        why=f"{why} ({detail})" if detail else why,
        fix=fix,
    )
