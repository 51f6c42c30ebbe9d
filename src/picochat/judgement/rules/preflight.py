"""Whether the run was judged before it was trained, and was not told to stay where it is."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core.hashing import digest_of
from picochat.judgement.rules.case import Case, Outcome, not_run

RESEARCH = "research"
_OTHER = ("summary", "launch", "distributed")
"""Settings of a judgement or of an attempt: a preflight is about all others."""


def settings_digest(config: dict[str, Any]) -> str:
    """Digest of what preflight judged of a run's configuration."""
    return digest_of({key: value for key, value in config.items() if key not in _OTHER})


def judge_preflight(case: Case) -> Outcome:
    """Counts what is wrong: it blocked, with laxer limits than this profile's, for other settings, or came too late."""
    report = case.evidence.documents.get(layout.PREFLIGHT)
    place = (layout.PREFLIGHT, "/verdict")
    if report is None or not report.usable or report.manifest is None or case.evidence.run is None:
        return not_run(place)
    faults = []
    if report.value("verdict") not in ("pass", "warn"):
        faults.append("/verdict")
    if case.loaded.profile.name != RESEARCH and report.value("column") != "release":
        faults.append("/column")
    if report.value("config_digest") != settings_digest(case.evidence.run.config):
        faults.append("/config_digest")
    base = case.evidence.report(layout.BASE).manifest
    if base is not None and report.manifest.finished_at > base.started_at:
        faults.append("/manifest/finished_at")
    places = tuple((layout.PREFLIGHT, pointer) for pointer in faults) or (place,)
    return Outcome("block" if faults else "pass", float(len(faults)), 0.0, artifacts=places)
