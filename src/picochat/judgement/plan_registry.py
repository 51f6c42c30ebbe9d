"""What is measured beside a plan's formulas; a gate knows nothing of them."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts

PLAN_CHECKS: dict[str, CheckFacts] = {
    "plan.memory_agrees": CheckFacts(
        "distance of the formula's peak from the one counted on fake tensors",
        "a plan whose two ways to the same number part is wrong in one of them",
        "rely on neither; report it with picochat plan PROFILE --measure --json",
        "share of the counted peak",
        "<=",
    ),
}
