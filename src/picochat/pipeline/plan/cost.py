"""Speed, hours and money: at three shares of the cards' peak, or at a speed that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from picochat.core.units import SECONDS_AN_HOUR, money_of, tokens_per_s
from picochat.pipeline.plan.cards import Fleet
from picochat.pipeline.plan.records import CostLine, Estimate, StagePlan

MFU_FRACS = (0.40, 0.45, 0.50)
"""Shares of the dense bf16 peak that long trainings of a billion parameters and more are reported to reach."""
ASSUMED_MFU = {True: 0.40, False: 0.50}
"""By whether blocks are recomputed: those operations are executed and do not count."""
EVALUATION_FRAC = 0.03
CHECKPOINTS_FRAC = 0.02
SETUP_HOURS = 10 / 60
CONTINGENCY_FRAC = 0.05


def estimate_at(mfu: float, stages: Sequence[StagePlan], fleet: Fleet, rate: float | None) -> Estimate:
    """At `mfu` of the peak; hours are None for a card without one."""
    peak = fleet.peak_flops
    speeds = [None if peak is None else tokens_per_s(peak * mfu, stage.flops_per_token) for stage in stages]
    return _estimate("mfu", mfu, speeds, stages, fleet, rate)


def estimate_measured(speed: float, stages: Sequence[StagePlan], fleet: Fleet, rate: float | None) -> Estimate:
    """At a measured speed of base training; a token of another stage takes as long as its operations say."""
    base = stages[0]
    speeds = [speed * base.flops_per_token / stage.flops_per_token for stage in stages]
    return _estimate("probe", None, speeds, stages, fleet, rate)


def _estimate(
    basis: str,
    mfu: float | None,
    speeds: Sequence[float | None],
    stages: Sequence[StagePlan],
    fleet: Fleet,
    rate: float | None,
) -> Estimate:
    hours = [
        None if speed is None else stage.tokens / speed / SECONDS_AN_HOUR
        for stage, speed in zip(stages, speeds, strict=True)
    ]
    training = None if None in hours else sum(hour for hour in hours if hour is not None)
    parts: list[tuple[str, float | None]] = [
        *((f"{stage.stage} training", hour) for stage, hour in zip(stages, hours, strict=True)),
        ("evaluation, 3 %", None if training is None else EVALUATION_FRAC * training),
        ("checkpoints, 2 %", None if training is None else CHECKPOINTS_FRAC * training),
        ("set-up, 10 min", SETUP_HOURS),
    ]
    subtotal = None if training is None else sum(hour for _, hour in parts if hour is not None)
    parts.append(("contingency, 5 %", None if subtotal is None else CONTINGENCY_FRAC * subtotal))
    total = None if subtotal is None else subtotal * (1 + CONTINGENCY_FRAC)

    def line(name: str, hour: float | None) -> CostLine:
        return CostLine(name=name, hours=hour, money=money_of(hour, fleet.count, rate))

    return Estimate.model_validate(
        {
            "basis": basis,
            "mfu_frac": mfu,
            "tokens_per_s": speeds[0],
            "lines": tuple(line(name, hour) for name, hour in parts),
            "training_hours": hours[0],
            "total": line("total", total),
        }
    )
