"""The report of a training stage, as JSON and as a page of Markdown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import StageRecord
from picochat.checkpoint.format import CheckpointManifest
from picochat.core.units import format_bytes, format_count, format_duration
from picochat.data.shards.manifest import Exposure
from picochat.inference.scoring import ValidationResult
from picochat.model import sizing
from picochat.stages.assignment import Assignment
from picochat.stages.contract import StageContext
from picochat.training.machine import Machine
from picochat.training.recipe import Recipe
from picochat.training.recording import peak_rss_bytes
from picochat.training.state import TrainState

EDGE_STEPS = 20
"""First and final loss are means over this many steps."""


@dataclass(frozen=True)
class TrainingFacts:
    """What a session measured. `seconds`, `tokens` and `save_s` (of each save) are of this attempt alone."""

    recipe: Recipe
    machine: dict[str, Any]
    state: TrainState
    epochs: float
    losses: list[float]
    seconds: float
    tokens: int
    save_s: list[float]
    data_wait_s: float
    """Time in which the loop waited for its batches."""
    validation: ValidationResult
    ema: ValidationResult | None
    saved: CheckpointManifest


def describe_training(work: Assignment, facts: TrainingFacts) -> dict[str, Any]:
    """The part of a report that base and SFT have in common."""
    config, recipe, state = work.model.config, facts.recipe, facts.state
    parameters = sizing.count_parameters(config)
    return {
        "model": {
            "config": config.as_dict(),
            "parameters": parameters.total,
            "parameters_by_part": asdict(parameters),
            "flops_per_token": sizing.flops_per_token(config, work.loop.seq_len),
        },
        "recipe": recipe._asdict() | {"optim": recipe.optim.as_dict()},
        "machine": facts.machine,
        "training": {
            "planned_steps": recipe.steps,
            "steps": state.step,
            "planned_tokens": work.loop.tokens,
            "tokens_seen": state.tokens_seen,
            "targets_seen": state.targets_seen,
            "skipped_steps": state.skipped_steps,
            "epochs": round(facts.epochs, 4),
            "unique_tokens": sum(source.unique_tokens for source in work.exposure),
            "exposure": [describe_exposure(source, facts.epochs) for source in work.exposure],
            "completed": state.step == recipe.steps,
            "first_loss": _mean_loss(facts.losses[:EDGE_STEPS]),
            "final_loss": _mean_loss(facts.losses[-EDGE_STEPS:]),
            "duration_s": round(facts.seconds, 3),
            "tokens_per_s": round(facts.tokens / facts.seconds, 1) if facts.seconds > 0 else 0.0,
            "saves": {
                "count": len(facts.save_s),
                "duration_s": round(sum(facts.save_s), 3),
                "frac": round(sum(facts.save_s) / facts.seconds, 4) if facts.seconds > 0 else 0.0,
            },
            "data_wait": {
                "duration_s": round(facts.data_wait_s, 3),
                "frac": round(facts.data_wait_s / facts.seconds, 5) if facts.seconds > 0 else 0.0,
            },
            "resumes": state.resumes,
        },
        "validation": asdict(facts.validation) | {"history": state.history},
        "ema": asdict(facts.ema) if facts.ema else None,
        "weights_digest": facts.saved.weights_digest,
        "checkpoint": {"folder": layout.checkpoint_dir(work.stage), "chosen": work.loop.keep, "step": facts.saved.step},
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _mean_loss(losses: list[float]) -> float | None:
    """Of the finite ones: a step that the guard rejected may have none. None where no step has."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return fmean(finite) if finite else None


def _show_loss(loss: float | None) -> str:
    return "unknown" if loss is None else f"{loss:.3f}"


def describe_exposure(source: Exposure, epochs: float) -> dict[str, Any]:
    """How often the training has seen a source: passes over its different tokens."""
    per_epoch = source.epoch_tokens / source.unique_tokens if source.unique_tokens else 0.0
    return {
        "source": source.source,
        "unique_tokens": source.unique_tokens,
        "epoch_tokens": source.epoch_tokens,
        "budget_tokens": source.budget_tokens,
        "passes": round(epochs * per_epoch, 4),
    }


def write_training_report(
    ctx: StageContext, record: StageRecord, stage: str, body: dict[str, Any], machine: Machine
) -> None:
    """Writes report.md and report.json of `stage`, with the checkpoint, ledger and samples among the outputs."""
    ctx.store.write_evidence(f"{stage}/{layout.REPORT_MD}", render_training(stage, body).encode())
    for ref in ctx.store.refs_below("checkpoint", layout.checkpoint_dir(stage)):
        record.add_output("checkpoint", ref.path)
    for kind, name in (("ledger", layout.LEDGER), ("samples", layout.SAMPLES), ("report_md", layout.REPORT_MD)):
        record.add_output(kind, f"{stage}/{name}")
    manifest = record.manifest(ctx.clock.monotonic(), **machine.facts())
    ctx.store.write_report(layout.report_path(stage), f"{stage}_report", body, manifest)


def render_training(stage: str, body: dict[str, Any]) -> str:
    """The facts of a training for a reader."""
    head = f"# {stage}: {format_count(body['model']['parameters'])} parameters, "
    lines = [
        head + f"{format_count(body['training']['tokens_seen'])} tokens",
        "",
        *_story(body),
        "",
        "| held-out measure | bits per byte |",
        "|---|---|",
        *_losses(body),
        "",
        *_machine(body),
        "",
        "| setting | rule |",
        "|---|---|",
        *(f"| {key} | {rule} |" for key, rule in body["recipe"]["rules"].items()),
        "",
        f"Weights `{body['weights_digest']}`",
        "",
    ]
    return "\n".join(lines)


def _story(body: dict[str, Any]) -> list[str]:
    training, saves = body["training"], body["training"]["saves"]
    return [
        f"{training['steps']:,} of {training['planned_steps']:,} steps of {body['recipe']['tokens_per_step']:,} tokens "
        f"in {format_duration(training['duration_s'])}, {format_count(training['tokens_per_s'])} tokens/s.",
        f"{training['epochs']:.2f} passes over {format_count(training['unique_tokens'])} unique tokens; "
        f"{training['skipped_steps']} steps skipped by the guard.",
        f"Checkpoint saves: {saves['count']:,} in {format_duration(saves['duration_s'])}, "
        f"{saves['frac']:.1%} of the time; waiting for batches {training['data_wait']['frac']:.2%}.",
        f"Loss {_show_loss(training['first_loss'])} at the start, {_show_loss(training['final_loss'])} at the end. "
        f"Peak memory {format_bytes(body['peak_rss_bytes'])}.",
    ]


def _losses(body: dict[str, Any]) -> list[str]:
    found, baselines = body["validation"], body.get("baselines", {})
    spread = f"standard error {found['bpb_se']:.3f}, {found['documents']:,} documents"
    ranked = sorted((value["bpb"], name) for name, value in baselines.items())
    rows = [f"| {name} of the same documents | {bpb:.3f} |" for bpb, name in ranked]
    return [f"| **this model** | **{found['bpb']:.3f}** ({spread}) |", *rows]


def _machine(body: dict[str, Any]) -> list[str]:
    optim, machine = body["recipe"]["optim"], body["machine"]
    return [
        f"Optimizer {optim['optimizer']}, peak rate {optim['lr']:.3g}.",
        f"Device {machine['device']}, {machine['threads']} threads{_ranks(machine)}.",
        f"Precision {machine['precision']}: {machine['precision_reason']}.",
        f"Blocks {'compiled' if machine['compile'] == 'block' else 'eager'}: {machine['compile_reason']}.",
    ]


def _ranks(machine: dict[str, Any]) -> str:
    return f" a rank, {machine['ranks']} ranks ({machine['strategy']})" if machine["ranks"] > 1 else ""
