"""What the checks of predictions mean. Those that a profile knows stand in the one table of check ids."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts

PREDICTION_CHECKS: dict[str, CheckFacts] = {
    "prediction.present": CheckFacts(
        "loss predicted beforehand, or the refusal recorded",
        "a run that nobody predicted cannot disappoint, and its money is spent before anything is known",
        "picochat predict fit LADDER --target PROFILE --out-dir RUN, before base begins, in a new run",
        "",
        "",
    ),
    "prediction.inside": CheckFacts(
        "held-out loss inside the predicted band",
        "a loss outside of the band means that the run did not do what smaller ones of its kind did",
        "compare recipe and data of the run with those of the ladder; a new ladder goes with a new run",
        "bits/byte",
        "",
    ),
}
