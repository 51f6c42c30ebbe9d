"""Learning-rate schedules: a factor between 0 and 1 for each step, a pure function of the step."""

from __future__ import annotations

import math
from typing import Literal

ScheduleName = Literal["linear", "cosine", "wsd", "constant"]
COOLDOWN_FRAC = 0.2
"""Of the steps after the warm-up, in which the rate of `wsd` falls."""


def lr_factor(
    step: int, total_steps: int, warmup_steps: int, name: ScheduleName = "linear", final_frac: float = 0.0
) -> float:
    """The factor for the update number `step` (0-based) of `total_steps`.

    `linear` and `cosine` fall to `final_frac` after the warm-up; `wsd` stays at 1 and cools down over the last fifth
    with 1 - sqrt (Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations").
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    left = max(1, total_steps - warmup_steps)
    done = min(1.0, (step - warmup_steps + 1) / left)
    match name:
        case "constant":
            shape = 1.0
        case "linear":
            shape = 1.0 - done
        case "cosine":
            shape = 0.5 * (1.0 + math.cos(math.pi * done))
        case "wsd":
            flat = 1.0 - COOLDOWN_FRAC
            shape = 1.0 if done <= flat else 1.0 - math.sqrt((done - flat) / COOLDOWN_FRAC)
    return final_frac + (1.0 - final_frac) * shape


def cooldown_begin(steps: int, warmup_steps: int) -> int:
    """Steps that a training under `wsd` takes before its rate begins to fall."""
    flat = (step for step in range(warmup_steps, steps) if lr_factor(step, steps, warmup_steps, "wsd") < 1.0)
    return next(flat, steps)
