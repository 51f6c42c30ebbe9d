"""Preflight: whether a run should start at all, from its inputs, its configuration and the machine.

    artifacts that exist + gathered facts -> rules (numbers) -> limits -> check results -> preflight.json

The same facts give the same body. What is `not_run` is never a pass: where it could have blocked, it blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Evidence, Verdict, overall
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.preflight.facts import PreflightFacts
from picochat.judgement.preflight.limits import CheckLimits, LoadedLimits, load_limits
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS
from picochat.judgement.preflight.rules import PREFLIGHT_RULES, Measured, PreflightCase
from picochat.judgement.profile import load_profile
from picochat.judgement.rules.preflight import settings_digest

RESEARCH = "research"
SKILL = "skill."
MACHINE_CHECKS = frozenset(
    {
        "device.kind",
        "device.precision",
        "device.attention",
        "world.size",
        "memory.fits",
        "disk.fits",
        "cost.cap",
        "prediction.present",
        "launch.tokenises_on_gpu",
    }
)
"""What depends on the machine and on what it costs; everything else is true of text and recipe wherever they go."""
NOT_BUILT = "picochat run PROFILE --preflight-only --pack PACK --out-dir RUN"
_UNUSABLE = (PicochatError, OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Column(NamedTuple):
    """How strictly the limits are read: `release` for a release profile and for every rented machine."""

    profile: str
    rented: bool

    @property
    def strict(self) -> bool:
        return self.rented or self.profile != RESEARCH


def judge_preflight(
    store: RunStore,
    facts: PreflightFacts,
    profile: str,
    config: dict[str, Any],
    loaded: LoadedLimits | None = None,
    watch: Callable[[str], None] = lambda check: None,
) -> dict[str, Any]:
    """The body of preflight.json without its manifest; the store's folder may be empty or missing.

    `watch` is told of each check when it was judged. Raises `gate.profile` for an unknown profile.
    """
    loaded = loaded or load_limits()
    column = Column(profile, facts.launch is not None)
    evidence, skills = RunEvidence(store), gate_skills(profile)
    asked, not_asked = _asked(loaded, facts, column)
    results = []
    for row in asked:
        results.append(_judge(PreflightCase(row.id, evidence, facts, skills), row, column))
        watch(row.id)
    return {
        "verdict": overall(results).replace("approved", "pass"),
        "profile": profile,
        "column": "release" if column.strict else RESEARCH,
        "limits_version": loaded.limits.version,
        "limits_digest": loaded.digest,
        "config_digest": settings_digest(config),
        "checks": [result.to_json() for result in results],
        "not_asked": [row.id for row in not_asked],
        "facts": facts.to_json(),
    }


def judge_machine(store: RunStore, facts: PreflightFacts, profile: str) -> list[CheckResult]:
    """The checks of `MACHINE_CHECKS` alone, for another machine than the one that was judged: they read no text."""
    column, evidence = Column(profile, facts.launch is not None), RunEvidence(store)
    asked, _ = _asked(load_limits(), facts, column)
    rows = [row for row in asked if row.id in MACHINE_CHECKS]
    return [_judge(PreflightCase(row.id, evidence, facts, {}), row, column) for row in rows]


def _asked(loaded: LoadedLimits, facts: PreflightFacts, column: Column) -> tuple[list[CheckLimits], list[CheckLimits]]:
    """The limits that count for this machine, and those that are not asked of it."""
    asked, not_asked = [], []
    for row in loaded.limits.checks:
        fits = (column.rented or not row.rented) and (facts.machine.seen or not row.seen)
        (asked if fits else not_asked).append(row)
    return asked, not_asked


def gate_skills(profile: str) -> Mapping[str, int]:
    """The skills that a gate profile judges, with the least eval rows that it asks for."""
    rows = [row for row in load_profile(profile).profile.checks if row.id.startswith(SKILL) and row.id.count(".") == 1]
    return {row.id.removeprefix(SKILL): row.minimum_n for row in rows if row.column != "shown"}


def _judge(case: PreflightCase, limits: CheckLimits, column: Column) -> CheckResult:
    facts, measured = PREFLIGHT_CHECKS[case.id], _measure(case)
    return CheckResult(
        id=case.id,
        verdict=_verdict(measured, limits, column),
        measured=measured.value,
        threshold=limits.threshold(measured.value, low_is_good=facts.direction == "<="),
        direction=facts.direction,
        unit=facts.unit,
        n=measured.n,
        interval=measured.interval,
        required=limits.may_block(strict=column.strict),
        why=f"{facts.why} ({measured.detail})" if measured.detail else facts.why,
        fix=NOT_BUILT if measured.value is None and _is_of_data(case, measured) else facts.fix,
        evidence=tuple(Evidence(artifact=path, pointer=pointer) for path, pointer in measured.places),
        inputs=_digests(case.evidence, measured),
    )


def _measure(case: PreflightCase) -> Measured:
    """The rule's number. What it cannot read was not measured."""
    try:
        return PREFLIGHT_RULES[case.id](case)
    except _UNUSABLE as err:
        return Measured(None, (), detail=err.detail if isinstance(err, PicochatError) else str(err)[:100])


def _verdict(measured: Measured, limits: CheckLimits, column: Column) -> Verdict:
    if measured.value is None:
        return "not_run"
    level = limits.level(measured.value)
    if level == "release":
        return "block" if column.strict and not measured.soft else "warn"
    return level


def _is_of_data(case: PreflightCase, measured: Measured) -> bool:
    """Whether a number is missing because a file of the run is, which building its data would write."""
    return any(path != layout.PREFLIGHT and case.evidence.digest(path) is None for path, _ in measured.places)


def _digests(evidence: RunEvidence, measured: Measured) -> tuple[str, ...]:
    found = [evidence.digest(path) for path, _ in measured.places]
    return tuple(dict.fromkeys(digest.sha256 for digest in found if digest))
