"""Another scorer on the same weights: where it disagrees, a benchmark's score is not what its name promises."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.judgement.rules.case import Case, Outcome, count_faults, not_run


def judge_harness(case: Case) -> Outcome:
    """No cross-check differs, is unreadable, or is about other weights than the judged ones. Without any: not run."""
    found = case.evidence.harness
    if not found:
        return not_run((layout.HARNESS, ""), n=0)
    manifest = case.evidence.weights.manifest
    if manifest is None:
        return not_run((case.evidence.weights.path, ""), n=0)
    faults = [(one.report.path, "/comparison") for one in found if not one.agrees]
    faults += [
        (one.report.path, "/weights_digest")
        for one in found
        if one.report.value("weights_digest") != manifest.weights_digest
    ]
    places = tuple(faults) or tuple((one.report.path, "/comparison") for one in found)
    return count_faults([path for path, _ in faults], *places)
