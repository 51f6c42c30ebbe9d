"""How a stage trains, torch-free. Values left at None are derived and shown with their rule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.training.schedule import ScheduleName


class OptimConfig(Config):
    """Peak rates and their companions, resolved: nothing is None any more."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(gt=0)
    """Peak of AdamW (with Muon: of the embedding and the norms)."""
    muon_lr: float = Field(default=0.02, gt=0)
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    muon_weight_decay: float = Field(default=0.0, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)


class LoopConfig(Config):
    """The length of a stage, its batch, its optimizer and what happens beside the steps."""

    tokens: int = Field(gt=0)
    """Planned tokens, padding included; rounded down to whole steps, at least one."""
    seq_len: int = Field(gt=1)
    """Tokens of a row."""
    micro_batch_size: int = Field(gt=0)
    """Rows of one forward pass on one rank."""
    tokens_per_step: int | None = Field(default=None, gt=0)
    """Global; None derives it from the number of parameters."""
    document_mask: bool = True
    """Tokens see only their own document."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float | None = Field(default=None, gt=0)
    """Peak of AdamW; None derives it."""
    muon_lr: float = Field(default=0.02, gt=0)
    beta2: float | None = Field(default=None, ge=0, lt=1)
    weight_decay: float | None = Field(default=None, ge=0)
    schedule: ScheduleName = "linear"
    warmup_frac: float = Field(default=0.02, ge=0, le=0.5)
    final_frac: float = Field(default=0.0, ge=0, le=1)
    clip: float = Field(default=1.0, gt=0)
    z_loss: float = Field(default=1e-5, ge=0)
    loss_chunk_tokens: int = Field(default=1024, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    checkpoint_blocks: bool = False
    """Recompute each block in the backward instead of keeping its activations."""
    eval_every: int = Field(default=0, ge=0)
    """Steps between two validations; 0 only at the end."""
    save_every: int = Field(default=0, ge=0)
    """Steps between two checkpoints; 0 only at the end."""
    keep_every: int = Field(default=0, ge=0)
    """Steps between two checkpoints that are kept for good in `kept/`, a multiple of save_every; 0 keeps none."""
    sample_every: int = Field(default=0, ge=0)
    log_every: int = Field(default=10, gt=0)
    state_digest_every: int = Field(default=0, ge=0)
    """Steps between two digests of weights, optimizer and EMA in the ledger; 0 only at the end."""
    keep: Literal["last", "best"] = "last"
    """Which weights the stage hands over."""
    prefetch_steps: int = Field(default=2, ge=0, le=64)
    """Steps that a thread reads ahead of the training; 0 reads each one when it is due."""

    @model_validator(mode="after")
    def _kept_ones_are_saved(self) -> LoopConfig:
        if self.keep_every and (not self.save_every or self.keep_every % self.save_every):
            refuse(
                "config.conflict",
                f"keep_every is {self.keep_every:,}, which is no multiple of save_every, {self.save_every:,}",
                fix=f"set loop.save_every = {self.keep_every}, or a divisor of it",
            )
        return self


class MachineConfig(Config):
    """Where and how a run computes."""

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    """auto: per block, when the time saved in this stage is longer than the compilation."""
    threads: int | None = Field(default=None, gt=0)
    """Threads of a training; None: torch's own choice."""
    workers: int | None = Field(default=None, gt=0)
    """Processes that prepare data; None: one a core. What they write does not depend on their number."""


class ResumeConfig(Config):
    """What a resume may pass over. It is not part of the run's own configuration."""

    elastic: bool = False
    """Allow another world size or micro-batch at equal tokens a step: data-exact and loss-close, never bit-exact."""
    accept: list[str] = []
    """Names of changed conditions to go on with, such as torch_version or code_digest."""
