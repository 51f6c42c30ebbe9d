"""What the model learned by heart, from rows computed again. Both models of a run count, and the worse one decides.

Evidence of other weights, or rows that do not follow from corpus and canaries, are no evidence: the rule is not run.
"""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.judgement.documents import value_at
from picochat.judgement.rules.case import Case, Outcome, not_run

_REPORT, _ROWS = (layout.MEMORISATION, ""), (layout.MEMORISATION_ROWS, "")


def judge_extractable(case: Case) -> Outcome:
    """Train documents that are continued exactly, beyond the share of held-out ones: the lower bound is judged.

    Above `warn_at` of the profile it warns, above the threshold it blocks.
    """
    models, threshold = _models(case), case.check.threshold
    found = [numbers["extractable"] for numbers in models.values()]
    if not found or threshold is None or any(numbers["interval"] is None for numbers in found):
        return not_run(_REPORT)
    n = min(numbers[side]["n"] for numbers in found for side in ("train", "val"))
    if n < case.check.minimum_n:
        return not_run(_REPORT, n=n)
    worst = max(found, key=lambda numbers: numbers["interval"][0])
    low, high = worst["interval"]
    warn_at = case.check.warn_at if case.check.warn_at is not None else threshold
    verdict = "block" if low > threshold else "warn" if low > warn_at else "pass"
    return Outcome(verdict, worst["difference"], threshold, n, (low, high), (_ROWS,))


def judge_exposure(case: Case) -> Outcome:
    """Mean bits of exposure of the facts that stand once in an epoch: more than the threshold warns."""
    models, threshold = _models(case), case.check.threshold
    found = [value_at(numbers, "canaries", "by_copies", "1") for numbers in models.values()]
    if not found or threshold is None or not all(found):
        return not_run(_REPORT)
    n = min(numbers["n"] for numbers in found)
    if n < case.check.minimum_n:
        return not_run(_REPORT, n=n)
    worst = max(numbers["mean"] for numbers in found)
    return Outcome("warn" if worst > threshold else "pass", worst, threshold, n, artifacts=(_ROWS,))


def _models(case: Case) -> dict[str, dict[str, Any]]:
    """Numbers by model when they are sound and speak of the weights that lie in the run, the judged ones among them."""
    found = case.evidence.memorisation
    if found is None or not found.sound or layout.SFT not in found.models:
        return {}
    for name in found.models:
        checkpoint = case.evidence.checkpoints.get(layout.checkpoint_dir(name))
        held = checkpoint.manifest if checkpoint else None
        if held is None or held.weights_digest != found.weights_digest(name):
            return {}
    return found.models
