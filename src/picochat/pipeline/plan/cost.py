"""Speed, hours and money: at three shares of the cards' peak, or at a speed that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from picochat.core.units import SECONDS_AN_HOUR, money_of, tokens_per_s
from picochat.pipeline.plan.cards import CPU, Fleet
from picochat.pipeline.plan.records import CostLine, Estimate, StagePlan

MFU_FRACS = (0.40, 0.45, 0.50)
"""Shares of the dense bf16 peak that long trainings of a billion parameters and more are reported to reach."""
ASSUMED_MFU = {True: 0.40, False: 0.50}
"""By whether blocks are recomputed: those operations are executed and do not count."""
EVALUATION_FRAC = 0.03
CHECKPOINTS_FRAC = 0.02
SETUP_HOURS = 10 / 60
"""On rented cards: the machine comes up, files arrive, the first step compiles."""
CONTINGENCY_FRAC = 0.05


def estimates_at_peak(stages: Sequence[StagePlan], fleet: Fleet, rate: float | None) -> tuple[Estimate, ...]:
    """One for each of `MFU_FRACS`; none for a card without a peak."""
    peak = fleet.peak_flops
    if peak is None:
        return ()
    return tuple(
        _estimate(mfu, [tokens_per_s(peak * mfu, stage.flops_per_token) for stage in stages], stages, fleet, rate)
        for mfu in MFU_FRACS
    )


def estimate_measured(speed: float, stages: Sequence[StagePlan], fleet: Fleet, rate: float | None) -> Estimate:
    """At a measured speed of base training; a token of another stage takes as long as its operations say."""
    base = stages[0]
    speeds = [speed * base.flops_per_token / stage.flops_per_token for stage in stages]
    return _estimate(None, speeds, stages, fleet, rate)


def _estimate(
    mfu: float | None, speeds: Sequence[float], stages: Sequence[StagePlan], fleet: Fleet, rate: float | None
) -> Estimate:
    hours = [stage.tokens / speed / SECONDS_AN_HOUR for stage, speed in zip(stages, speeds, strict=True)]
    training = sum(hours)
    parts = [(f"{stage.stage} training", hour) for stage, hour in zip(stages, hours, strict=True)]
    parts.append((f"evaluation, {EVALUATION_FRAC:.0%}", EVALUATION_FRAC * training))
    parts.append((f"checkpoints, {CHECKPOINTS_FRAC:.0%}", CHECKPOINTS_FRAC * training))
    if fleet.card.device != CPU:
        parts.append(("set-up, 10 min", SETUP_HOURS))
    subtotal = sum(hour for _, hour in parts)
    parts.append((f"contingency, {CONTINGENCY_FRAC:.0%}", CONTINGENCY_FRAC * subtotal))

    def line(name: str, hour: float) -> CostLine:
        return CostLine(name=name, hours=hour, money=money_of(hour, fleet.count, rate))

    return Estimate(
        basis="probe" if mfu is None else "mfu",
        mfu_frac=mfu,
        tokens_per_s=speeds[0],
        lines=tuple(line(name, hour) for name, hour in parts),
        training_hours=hours[0],
        total=line("total", subtotal * (1 + CONTINGENCY_FRAC)),
    )
