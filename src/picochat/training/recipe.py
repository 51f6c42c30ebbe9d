"""Hyperparameters from the size of the model and of the data, each with the rule that gave it. Torch-free."""

from __future__ import annotations

from typing import NamedTuple

from picochat.core.errors import refuse
from picochat.training.config import LoopConfig, OptimConfig

REFERENCE_PARAMETERS = 108e6


class Derived(NamedTuple):
    """A value and where it comes from."""

    value: float | int
    rule: str


def peak_lr(parameters: int) -> Derived:
    """Half of 0.0047 (N / 108e6)^(-1/3), at most 0.02 (the ladder of OLMo-core)."""
    value = min(0.02, 0.0047 * (parameters / REFERENCE_PARAMETERS) ** (-1 / 3) / 2)
    return Derived(value, f"0.0047 * ({parameters:,} / 108e6)^(-1/3) / 2, at most 0.02")


def tokens_per_step(parameters: int, row_tokens: int) -> Derived:
    """327,680 (N / 108e6)^(2/3), rounded down to a power of two, at least one row."""
    ideal = 327_680 * (parameters / REFERENCE_PARAMETERS) ** (2 / 3)
    value = max(row_tokens, 1 << max(0, int(ideal).bit_length() - 1))
    return Derived(value, f"327,680 * ({parameters:,} / 108e6)^(2/3) = {ideal:,.0f}, rounded down to a power of two")


def beta2(step_tokens: int) -> Derived:
    """0.95, and 0.99 where a step has under 524,288 tokens: small batches want a longer memory."""
    return (
        Derived(0.99, "a step has under 524,288 tokens")
        if step_tokens < 524_288
        else Derived(0.95, "a step has 524,288 tokens or more")
    )


def weight_decay(lr: float) -> Derived:
    """lr times decay about 1e-4, at most 0.1."""
    return Derived(min(0.1, 1e-4 / lr), f"1e-4 / lr {lr:.2g}, at most 0.1")


def split_step(rows: int, micro_batch_size: int, world_size: int) -> tuple[int, int]:
    """(rows of a micro-batch, micro-batches of a rank) of a step of `rows` rows over all ranks.

    The step is the same for any number of ranks, so that all of them train on the same documents; a rank's
    micro-batch is the largest part of its share that is not larger than asked for. Raises `config.conflict`.
    """
    if rows % world_size:
        refuse(
            "config.conflict",
            f"a step of {rows:,} rows cannot be shared by {world_size} ranks",
            fix=f"set loop.tokens_per_step to a multiple of {world_size} rows, or start another number of ranks",
        )
    share = rows // world_size
    size = next(size for size in range(min(micro_batch_size, share), 0, -1) if share % size == 0)
    return size, share // size


class Recipe(NamedTuple):
    """What the loop uses, and for each derived key its rule."""

    optim: OptimConfig
    tokens_per_step: int
    steps: int
    warmup_steps: int
    rules: dict[str, str]


def resolve_recipe(config: LoopConfig, parameters: int) -> Recipe:
    """Fills what the configuration leaves open. The step is a whole number of micro-batches."""
    rules: dict[str, str] = {}

    def choose(key: str, given: float | None, derived: Derived) -> float:
        rules[key] = "given" if given is not None else derived.rule
        return given if given is not None else derived.value

    micro_tokens = config.micro_batch_size * config.seq_len
    wanted = choose("tokens_per_step", config.tokens_per_step, tokens_per_step(parameters, micro_tokens))
    step_tokens = max(1, round(wanted / micro_tokens)) * micro_tokens
    lr = choose("lr", config.lr, peak_lr(parameters))
    optim = OptimConfig(
        optimizer=config.optimizer,
        lr=float(lr),
        muon_lr=config.muon_lr,
        beta2=float(choose("beta2", config.beta2, beta2(step_tokens))),
        weight_decay=float(choose("weight_decay", config.weight_decay, weight_decay(lr))),
    )
    steps = max(1, config.tokens // step_tokens)
    warmup = round(config.warmup_frac * steps)
    rules["steps"] = f"{config.tokens:,} tokens / {step_tokens:,} a step"
    rules["warmup_steps"] = f"{config.warmup_frac:.0%} of {steps:,} steps"
    return Recipe(optim, step_tokens, steps, warmup, rules)
