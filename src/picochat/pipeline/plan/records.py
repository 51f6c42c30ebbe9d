"""What a plan is made of: frozen records with plain numbers, a unit in every name."""

from __future__ import annotations

from typing import Any, Literal

from picochat.artifacts.checks import CheckResult
from picochat.artifacts.schema import Record
from picochat.model.step_memory import Phase
from picochat.pipeline.plan.cards import Fleet

StrategyChoice = Literal["single", "ddp", "fsdp"]


class Memory(Record):
    """One rank at the peak of a step, by part."""

    phase: Phase
    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    """Moments, and the average of the weights where there is one."""
    activations_bytes: int
    logits_bytes: int
    work_bytes: int
    """Casts, gathered blocks and gradients of activations."""
    peak_bytes: int
    margin_bytes: int
    """8 % for fragmentation, and 1.5 GiB for context and libraries."""
    needed_bytes: int


class Batch(Record):
    """How a step is cut, and what that needs."""

    micro_batch_size: int
    grad_accum_steps: int
    checkpoint_blocks: bool
    memory: Memory
    fits: bool


class StagePlan(Record):
    """One training stage."""

    stage: str
    seq_len: int
    tokens: int
    """Of all steps, padding included."""
    steps: int
    tokens_per_step: int
    rules: dict[str, str]
    flops_per_token: int
    """Forward and backward, attention over the whole row (PaLM's convention)."""
    flops_per_token_causal: int
    """The same with the half of attention that a causal mask needs."""
    flops_total: int
    recompute_frac: float
    """What recomputed blocks add to the operations that are executed."""
    batch: Batch
    """What is planned with."""
    why: str
    as_configured: bool
    widest: Batch | None
    """The largest micro-batch that fits without recomputing blocks, else with it; None where nothing fits."""


class CostLine(Record):
    """A part of the bill. Money is None without a rate."""

    name: str
    hours: float
    money: float | None


class Estimate(Record):
    """Speed, time and money at one share of the peak, or as measured on this machine."""

    basis: Literal["mfu", "probe"]
    mfu_frac: float | None
    tokens_per_s: float
    """Of base training, over all ranks."""
    lines: tuple[CostLine, ...]
    training_hours: float
    """Base alone: the figure that published runs compare by."""
    total: CostLine


class Disk(Record):
    """Bytes on disk, at most, at the end of a run."""

    corpus_bytes: int
    shards_bytes: int
    checkpoint_bytes: int
    """The larger one of base and SFT."""
    checkpoint_copies: int
    kept_bytes: int
    total_bytes: int
    save_s: float
    saves: int
    assumptions: tuple[str, ...]


class Dominates(Record):
    """The largest part of each whole, with its share."""

    memory: str
    memory_frac: float
    flops: str
    flops_frac: float
    disk: str
    disk_frac: float


class Counted(Record):
    """The peak of one eager step, counted on fake tensors, and what the formula says of the same step."""

    peak_bytes: int
    formula_peak_bytes: int
    torch: str


class Probe(Record):
    """Steps of the real loop on this machine, on made tokens."""

    tokens_per_s: float
    tokens_per_step: int
    step_s: tuple[float, ...]
    """Those that count; `warmup_steps` before them do not."""
    warmup_steps: int
    compile: str
    compile_reason: str
    machine: dict[str, Any]
    peak_rss_bytes: int


class Plan(Record):
    """What a run will need, before anything is spent."""

    profile: str
    fleet: Fleet
    strategy: StrategyChoice
    precision: str
    compiled: bool
    rate_per_gpu_hour: float | None
    parameters: int
    parameters_by_part: dict[str, int]
    tokens_per_parameter: float
    flops_convention: str
    stages: tuple[StagePlan, ...]
    """Base, then SFT."""
    estimates: tuple[Estimate, ...]
    """Empty where no speed is known: for processors before a probe."""
    assumed: int | None
    """Place of the estimate to reckon with; None where no speed is known."""
    disk: Disk
    dominates: Dominates
    fits: bool
    remedies: tuple[str, ...]
    """What would fit, where this does not."""
    notes: tuple[str, ...]
    counted: Counted | None = None
    probe: Probe | None = None
    checks: tuple[CheckResult, ...] = ()
    """Of what was measured beside the formula."""

    @property
    def base(self) -> StagePlan:
        """Base training."""
        return self.stages[0]

    @property
    def estimate(self) -> Estimate | None:
        """The one to reckon with."""
        return None if self.assumed is None else self.estimates[self.assumed]
