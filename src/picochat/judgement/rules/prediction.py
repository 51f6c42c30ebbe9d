"""Whether the loss came out as predicted; whether it was predicted at all is asked before the run, by preflight."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.judgement.rules.case import Case, Outcome, not_run

_SAID = (layout.PREDICTION, "/predicted")
_CHECKED = (layout.PREDICTION_CHECK, "/inside")


def judge_inside(case: Case) -> Outcome:
    """The measured bits a byte of base against the predicted ones; the interval is the band."""
    found = case.evidence.prediction
    result = found.result if found else None
    if found is None or not found.sound or result is None or result["inside"] is None:
        return not_run(_SAID, _CHECKED)
    said, measured = result["predicted"], result["measured"]["bpb"]
    rungs = len(found.document.body["rungs"])
    verdict = "pass" if result["inside"] else "block"
    return Outcome(verdict, measured, said["bpb"], rungs, (said["low"], said["high"]), (_SAID, _CHECKED))
