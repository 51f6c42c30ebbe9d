"""What a plan can have measured, each in a process of its own that may load torch: peak memory, and speed.

measure_memory   the real step on fake tensors, next to the formula: the check `plan.memory_agrees`
probe_speed      steps of the real loop on this machine: an estimate beside those from the card's peak
"""

from __future__ import annotations

from statistics import fmean, median

from picochat.artifacts.checks import CheckResult
from picochat.core.asking import ask
from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.judgement.plan_registry import PLAN_CHECKS
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.plan.build import choose_precision
from picochat.pipeline.plan.cards import CPU, Fleet, find_card
from picochat.pipeline.plan.cost import estimate_measured
from picochat.pipeline.plan.memory import Site
from picochat.pipeline.plan.records import Counted, Plan, Probe

MEMORY_MODULE = "picochat.training.memory"
SPEED_MODULE = "picochat.training.probing"
LIMIT_S = 1800.0
AGREE_FRAC = 0.15
"""Formula and count may part by so much of the count."""
PROBE_STEPS = 20
BUSY_RATIO = 1.25
"""On a quiet machine the mean step is within some percent of the median."""


def measure_memory(plan: Plan, config: RunConfig) -> Plan:
    """The plan with the count of base's peak, and `plan.memory_agrees` among its checks. Raises `plan.measuring`.

    The count is of an eager step on a CPU, and so is the formula that it is compared with, whatever the plan is for.
    """
    batch, loop = plan.base.batch, config.base.loop
    question = {
        "model": config.model.as_dict(),
        "loop": loop.model_copy(update={"checkpoint_blocks": batch.checkpoint_blocks}).as_dict(),
        "precision": plan.precision,
        "micro_batch_size": batch.micro_batch_size,
        # The second one is like all that follow.
        "micro_batches": min(2, batch.grad_accum_steps),
        "gradients_held": plan.strategy == "ddp",
        "slices": plan.fleet.count if plan.strategy == "fsdp" else 1,
    }
    said = ask(MEMORY_MODULE, question, code="plan.measuring", timeout_s=LIMIT_S)
    if said["parameters"] != plan.parameters:
        refuse("plan.measuring", f"the built model has {said['parameters']:,} parameters, not {plan.parameters:,}")
    here = Fleet(count=plan.fleet.count, card=find_card(CPU))
    site = Site(config.model, loop, here, plan.strategy, choose_precision(config, plan.fleet), False)
    formula = site.batch(batch.micro_batch_size, batch.grad_accum_steps, batch.checkpoint_blocks)
    counted = Counted(
        peak_bytes=said["peak_bytes"], formula_peak_bytes=formula.memory.peak_bytes, torch=str(said["torch"])
    )
    checks = (*plan.checks, judge_memory(counted))
    return plan.model_copy(update={"counted": counted, "checks": checks})


def judge_memory(counted: Counted) -> CheckResult:
    """Blocks where formula and count are more than 15 % of the count apart."""
    facts = PLAN_CHECKS["plan.memory_agrees"]
    distance = abs(counted.formula_peak_bytes / counted.peak_bytes - 1)
    return CheckResult(
        id="plan.memory_agrees",
        verdict="pass" if distance <= AGREE_FRAC else "block",
        measured=distance,
        threshold=AGREE_FRAC,
        direction="<=",
        unit=facts.unit,
        n=1,
        why=facts.why,
        fix=facts.fix,
    )


def probe_speed(plan: Plan, config: RunConfig, steps: int = PROBE_STEPS) -> Plan:
    """The plan with an estimate from steps on this machine before all others. Raises `plan.measuring`, `device.*`.

    One rank is tried, on the kind of device that the plan is for. So many cards are taken to be so many times as fast;
    ranks on processors share them, and are no faster together.
    """
    device, batch = plan.fleet.card.device, plan.base.batch
    planned = settings_layer(
        [
            ("machine.device", device),
            ("base.loop.micro_batch_size", batch.micro_batch_size),
            ("base.loop.checkpoint_blocks", batch.checkpoint_blocks),
        ]
    )
    probe = run_probe(resolve(plan.profile, config, [("plan", planned)]).config, steps)
    speed = probe.tokens_per_s * (1 if device == CPU else plan.fleet.count)
    found = estimate_measured(speed, plan.stages, plan.fleet, plan.rate_per_gpu_hour)
    notes = (*plan.notes, *busy_notes(probe))
    changes = {"probe": probe, "estimates": (found, *plan.estimates), "assumed": 0, "notes": notes}
    return plan.model_copy(update=changes)


def busy_notes(probe: Probe) -> list[str]:
    """A word of doubt where the steps were not alike: their mean is far from their median."""
    typical, mean = median(probe.step_s), fmean(probe.step_s)
    if mean <= BUSY_RATIO * typical:
        return []
    return [
        f"steps of the probe took {mean:.2f} s on average and {typical:.2f} s in the middle: something else keeps this "
        "machine busy, and a run beside it takes longer (--set machine.threads=1 suffers least)"
    ]


def run_probe(config: RunConfig, steps: int = PROBE_STEPS) -> Probe:
    """Some steps of base training on made tokens in one process on this machine."""
    parts: dict[str, Config] = {"model": config.model, "loop": config.base.loop, "machine": config.machine}
    question = {name: part.as_dict() for name, part in parts.items()} | {"steps": steps}
    return Probe.from_json(ask(SPEED_MODULE, question, code="plan.measuring", timeout_s=LIMIT_S), SPEED_MODULE)
