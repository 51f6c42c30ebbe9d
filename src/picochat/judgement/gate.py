"""The release gate: one verdict for one digest of weights under one profile, from artifacts alone.

The same artifacts give the same body, now or on another machine: there is no clock, host or random number in it. The
day, on which waivers depend, is handed in, and stored where there are any. The records of earlier gates and summaries
are only read to see that nothing they listed was changed since.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Evidence, overall
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.chain import check_chain
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.history import check_history
from picochat.judgement.profile import PROFILES, LoadedProfile, ProfileCheck, load_profile
from picochat.judgement.registry import CHECKS
from picochat.judgement.rules.case import Case, Outcome, not_run
from picochat.judgement.rules.table import RULES
from picochat.judgement.waivers import apply_waivers

_UNUSABLE = (PicochatError, OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
NOTHING: Mapping[str, CheckResult] = MappingProxyType({})
_BLOCKING = ("block", "block_if_present")


def judge_run(
    store: RunStore, profile_name: str, *, profiles: Path = PROFILES, judged_on: datetime.date | None = None
) -> dict[str, Any]:
    """The body of gate.json without its manifest. Raises `gate.profile` for an unknown profile."""
    return judge_evidence(RunEvidence(store), load_profile(profile_name, profiles), judged_on=judged_on)


def judge_evidence(
    evidence: RunEvidence,
    loaded: LoadedProfile,
    carried: Mapping[str, CheckResult] = NOTHING,
    *,
    judged_on: datetime.date | None = None,
) -> dict[str, Any]:
    """Judges loaded evidence. `shown` results are for the reader and take no part in the verdict.

    `carried` are results that stand as they are, because what they were judged on was left out of this copy.
    `judged_on` is the day of the judgement: waivers hold until theirs, and without one none does.
    """
    broken = [*check_chain(evidence), *check_history(evidence)]
    results = {
        row.id: carried.get(row.id) or judge_check(Case(evidence, row, loaded, broken)) for row in loaded.profile.checks
    }
    shown = {row.id for row in loaded.profile.checks if row.column == "shown"}
    judged = {check: result for check, result in results.items() if check not in shown}
    checks, waivers = apply_waivers(evidence, judged, judged_on)
    manifest = evidence.weights.manifest
    return {
        "verdict": overall(checks),
        "profile": loaded.profile.name,
        "profile_version": loaded.profile.version,
        "profile_digest": loaded.digest,
        "weights_digest": manifest.weights_digest if manifest else None,
        "checks": [result.to_json() for result in checks],
        "shown": [results[row.id].to_json() for row in loaded.profile.checks if row.id in shown],
        "not_judged": list(loaded.profile.not_judged),
        "failpoints": list(evidence.run.failpoints) if evidence.run else [],
    } | (_waiving(waivers, judged_on) if evidence.store.has(layout.WAIVERS) else {})


def _waiving(waivers: list[dict[str, Any]], judged_on: datetime.date | None) -> dict[str, Any]:
    """What a body says beside its checks when the run has waivers."""
    return {"waivers": waivers, "judged_on": judged_on.isoformat() if judged_on else None}


def judge_one(evidence: RunEvidence, loaded: LoadedProfile, check: str) -> CheckResult | None:
    """One result as `judge_evidence` gives it, before waivers; None where it takes no part in the profile's verdict."""
    row = next((row for row in loaded.profile.checks if row.id == check and row.column != "shown"), None)
    return judge_check(Case(evidence, row, loaded, list_broken(evidence, check))) if row else None


def list_broken(evidence: RunEvidence, check: str) -> list[CheckResult]:
    """The broken links, of which only one check speaks."""
    return [*check_chain(evidence), *check_history(evidence)] if check == "verify.chain" else []


def judge_check(case: Case) -> CheckResult:
    """One result: the rule's answer, no worse than the profile's column lets it be."""
    facts, outcome = CHECKS[case.check.id], _ask(case)
    required = case.check.column == "block" or (case.check.column == "block_if_present" and _is_present(case))
    return CheckResult(
        id=case.check.id,
        verdict=_capped(outcome, case.check),
        measured=outcome.measured,
        threshold=outcome.threshold if outcome.threshold is not None else case.check.threshold,
        direction=facts.direction,
        unit=facts.unit,
        n=outcome.n,
        interval=outcome.interval,
        required=required,
        why=facts.why,
        fix=facts.fix,
        evidence=tuple(Evidence(artifact=path, pointer=pointer) for path, pointer in outcome.artifacts),
        inputs=_digests(case.evidence, outcome),
    )


def _is_present(case: Case) -> bool:
    """Whether the run has what the check is about: cross-checks, or benchmarks."""
    return bool(case.evidence.harness if case.check.id == "external.harness" else case.evidence.benchmarks)


def _ask(case: Case) -> Outcome:
    """The rule's answer. Evidence that it cannot read was not judged, and is never a pass."""
    try:
        return RULES[case.check.id](case)
    except _UNUSABLE:
        return not_run((layout.RUN, ""))


def _capped(outcome: Outcome, check: ProfileCheck) -> Any:
    return "warn" if outcome.verdict == "block" and check.column not in _BLOCKING else outcome.verdict


def _digests(evidence: RunEvidence, outcome: Outcome) -> tuple[str, ...]:
    found = [evidence.digest(path) for path, _ in outcome.artifacts]
    return tuple(dict.fromkeys(digest.sha256 for digest in found if digest))
