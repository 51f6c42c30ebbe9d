"""The plan of a run: what it will need, computed from its configuration alone, in a fraction of a second."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Literal

from picochat.artifacts.code_record import NATIVE_BF16_CPU, cpu_features
from picochat.core.errors import refuse
from picochat.core.units import SECONDS_AN_HOUR, format_bytes, format_count, format_hours
from picochat.distributed.guardrails import require_supported
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters, flops_by_part, flops_per_token, recompute_frac
from picochat.pipeline.config import RunConfig, needed
from picochat.pipeline.plan.cards import Fleet
from picochat.pipeline.plan.cost import ASSUMED_MFU, CHECKPOINTS_FRAC, MFU_FRACS, estimates_at_peak
from picochat.pipeline.plan.disk import plan_disk
from picochat.pipeline.plan.memory import Site, choose_batch, find_remedies
from picochat.pipeline.plan.records import Disk, Dominates, Estimate, Plan, StagePlan, StrategyChoice
from picochat.training.config import LoopConfig
from picochat.training.recipe import resolve_recipe, split_step

CONVENTION = (
    "6 a matrix parameter and token, and 12 a layer, head feature and token of the row for attention "
    "(PaLM, appendix B: the whole row counts, recomputed blocks do not)"
)
SMALL_PARAMETERS = 300e6
"""Below it a card of the table waits more than it multiplies, and the shares of its peak are too good."""


def build_plan(
    config: RunConfig,
    fleet: Fleet,
    rate: float | None = None,
    strategy: str | None = None,
    *,
    profile: str = "",
) -> Plan:
    """The plan of `config` on `fleet`, a rank on each card; `rate` is in money a card and hour.

    Nothing is measured and nothing is read but the size of a corpus outside of the run. A plan that does not fit is
    returned with `fits` False and with remedies: `require_fits` refuses it. Raises `plan.rate`, `strategy.refused`, and
    `config.conflict` where ranks cannot share a step.
    """
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        refuse("plan.rate", f"a rate of {rate:g} dollars a GPU-hour")
    chosen = choose_strategy(config, fleet, strategy)
    precision = choose_precision(config, fleet)
    parameters = count_parameters(config.model)
    sites = [
        Site(config.model, loop, fleet, chosen, precision, config.machine.compile == "on")
        for loop in (config.base.loop, config.sft.loop)
    ]
    stages = tuple(plan_stage(name, site) for name, site in zip(("base", "sft"), sites, strict=True))
    estimates = estimates_at_peak(stages, fleet, rate)
    disk = plan_disk(config, stages)
    assumed = MFU_FRACS.index(ASSUMED_MFU[stages[0].batch.checkpoint_blocks]) if estimates else None
    fits = all(stage.batch.fits for stage in stages)
    return Plan(
        profile=profile,
        fleet=fleet,
        strategy=chosen,
        precision=precision,
        compiled=config.machine.compile == "on",
        rate_per_gpu_hour=rate,
        parameters=parameters.total,
        parameters_by_part=asdict(parameters),
        tokens_per_parameter=stages[0].tokens / parameters.total,
        flops_convention=CONVENTION,
        stages=stages,
        estimates=estimates,
        assumed=assumed,
        disk=disk,
        dominates=find_dominating(config.model, stages[0], disk),
        fits=fits,
        remedies=() if fits else _remedies(sites, stages),
        notes=tuple(_notes(config, stages, disk, estimates, fleet)),
    )


def require_fits(plan: Plan) -> None:
    """Raises `plan.memory` where a stage needs more than a rank has, with what would fit."""
    for stage in plan.stages:
        if not stage.batch.fits:
            memory, batch = stage.batch.memory, stage.batch
            refuse(
                "plan.memory",
                f"{stage.stage} needs {format_bytes(memory.needed_bytes)} a rank at micro-batch "
                f"{batch.micro_batch_size}, and does not fit into {format_bytes(plan.fleet.rank_bytes)} at any",
                fix="; or ".join(plan.remedies) or None,
            )


def choose_strategy(config: RunConfig, fleet: Fleet, asked: str | None) -> StrategyChoice:
    """One rank needs none; several take what is asked for, or configured. Raises `strategy.refused`."""
    if fleet.count == 1:
        if asked == "fsdp":
            refuse("strategy.refused", "slices need several ranks, and there is one", fix="--gpus with a count above 1")
        return "single"
    strategy: StrategyChoice = "fsdp" if (asked or config.distributed.strategy) == "fsdp" else "ddp"
    uses = needed(config) - {"cpu", "cuda"} | {fleet.card.device}
    require_supported(strategy, uses, config.distributed.fsdp_on_cpu)
    return strategy


def choose_precision(config: RunConfig, fleet: Fleet) -> Literal["bf16", "fp32"]:
    """What `auto` becomes: bf16 on every card of the table, on processors where they have it."""
    if config.machine.precision == "auto":
        native = fleet.card.device != "cpu" or bool(set(NATIVE_BF16_CPU) & set(cpu_features()))
        return "bf16" if native else "fp32"
    return "fp32" if config.machine.precision == "fp32" else "bf16"


def plan_stage(name: str, site: Site) -> StagePlan:
    """Steps, operations and batch of one stage. Raises `config.conflict`."""
    loop, recipe = site.loop, resolve_recipe(site.loop, count_parameters(site.model).total)
    rows = recipe.tokens_per_step // loop.seq_len
    size, micro_batches = split_step(rows, loop.micro_batch_size, site.fleet.count)
    batch, why, widest = choose_batch(site, size * micro_batches, size)
    tokens, flops = recipe.steps * recipe.tokens_per_step, flops_per_token(site.model, loop.seq_len)
    return StagePlan(
        stage=name,
        seq_len=loop.seq_len,
        tokens=tokens,
        steps=recipe.steps,
        tokens_per_step=recipe.tokens_per_step,
        rules=recipe.rules,
        flops_per_token=flops,
        flops_per_token_causal=flops_per_token(site.model, loop.seq_len, causal=True),
        flops_total=flops * tokens,
        recompute_frac=recompute_frac(site.model, loop.seq_len) if batch.checkpoint_blocks else 0.0,
        batch=batch,
        why=why,
        as_configured=(batch.micro_batch_size, batch.checkpoint_blocks) == (size, loop.checkpoint_blocks),
        widest=widest,
    )


def find_dominating(model: ModelConfig, base: StagePlan, disk: Disk) -> Dominates:
    """The largest parts of the peak, of the operations and of the disk."""
    memory = base.batch.memory
    parts = {
        name.removesuffix("_bytes"): value
        for name, value in memory.model_dump().items()
        if name not in ("phase", "peak_bytes", "needed_bytes")
    }
    flops = flops_by_part(model, base.seq_len)
    places = {
        "corpus": disk.corpus_bytes,
        "shards": disk.shards_bytes,
        "checkpoints": disk.total_bytes - disk.corpus_bytes - disk.shards_bytes,
    }
    (in_memory, memory_frac), (in_flops, flops_frac), (on_disk, disk_frac) = map(_largest, (parts, flops, places))
    return Dominates(
        memory=in_memory,
        memory_frac=memory_frac,
        flops=in_flops,
        flops_frac=flops_frac,
        disk=on_disk,
        disk_frac=disk_frac,
    )


def _largest(parts: dict[str, int]) -> tuple[str, float]:
    name = max(parts, key=lambda part: parts[part])
    return name, parts[name] / sum(parts.values())


def _remedies(sites: list[Site], stages: tuple[StagePlan, ...]) -> tuple[str, ...]:
    """Of the first stage that does not fit."""
    site, stage = next((s, p) for s, p in zip(sites, stages, strict=True) if not p.batch.fits)
    return tuple(find_remedies(site, stage.tokens_per_step // stage.seq_len))


def _notes(
    config: RunConfig, stages: tuple[StagePlan, ...], disk: Disk, estimates: tuple[Estimate, ...], fleet: Fleet
) -> list[str]:
    """What a reader of the numbers should know as well."""
    loops: dict[str, LoopConfig] = {"base": config.base.loop, "sft": config.sft.loop}
    notes = [note for stage in stages for note in _stage_notes(stage, loops[stage.stage])]
    if fleet.peak_flops is None:
        notes.append("the speed of processors is not in any table: --probe measures it")
    elif count_parameters(config.model).total < SMALL_PARAMETERS:
        notes.append(
            f"a model under {format_count(SMALL_PARAMETERS)} parameters reaches less than these shares of a card's "
            "peak: measure the first steps before you rely on the hours"
        )
    saving_h = disk.saves * disk.save_s / SECONDS_AN_HOUR
    if estimates and saving_h > CHECKPOINTS_FRAC * estimates[-1].training_hours:
        notes.append(
            f"{disk.saves:,} saves of {disk.save_s:.1f} s take {format_hours(saving_h)}, more than the "
            f"{CHECKPOINTS_FRAC:.0%} in the bill: raise save_every"
        )
    return notes


def _stage_notes(stage: StagePlan, loop: LoopConfig) -> list[str]:
    notes = []
    if loop.tokens_per_step and loop.tokens_per_step != stage.tokens_per_step:
        notes.append(
            f"{stage.stage}.loop.tokens_per_step {loop.tokens_per_step:,} becomes {stage.tokens_per_step:,}, "
            f"whole micro-batches of {loop.micro_batch_size} rows"
        )
    if not stage.as_configured and stage.batch.fits:
        batch = stage.batch
        notes.append(
            f"train with --set {stage.stage}.loop.micro_batch_size={batch.micro_batch_size} "
            f"--set {stage.stage}.loop.checkpoint_blocks={str(batch.checkpoint_blocks).lower()}"
        )
    widest = stage.widest
    if stage.batch.checkpoint_blocks and widest and not widest.checkpoint_blocks:
        notes.append(
            f"{stage.stage} also fits without recomputing blocks, at micro-batch {widest.micro_batch_size} "
            f"({format_bytes(widest.memory.needed_bytes)}): recomputing adds {stage.recompute_frac:.0%} of operations"
        )
    return notes
