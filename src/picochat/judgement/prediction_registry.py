"""What the check of a prediction means; part of the one table of check ids."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts

PREDICTION_CHECKS: dict[str, CheckFacts] = {
    "prediction.inside": CheckFacts(
        "held-out loss inside the predicted band",
        "a loss outside of the band means that the run did not do what smaller ones of its kind did",
        "compare recipe and data of the run with those of the ladder; a new ladder goes with a new run",
        "bits/byte",
        "",
    ),
}
