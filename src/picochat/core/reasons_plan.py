"""Reason codes of planning a run before it costs anything. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

PLAN_REASONS: dict[str, Reason] = {
    "plan.card": Reason(
        2, "a plan needs the peak and the memory of the card, and guesses neither", "choose a card of the table"
    ),
    "plan.gpus": Reason(2, "a plan is for a known number of one kind of card", "--gpus 8xH100, or --gpus cpu"),
    "plan.measuring": Reason(
        5,
        "a measurement that broke off says nothing about the run",
        "look at its last line above; the plan without --measure and --probe needs no measurement",
    ),
    "plan.memory": Reason(
        3,
        "a training that does not fit ends at its first step, on cards that are paid for",
        "shorter rows, a smaller model, or cards with more memory",
    ),
    "plan.rate": Reason(2, "money is hours times cards times a rate above 0", "--rate 3.00"),
}
