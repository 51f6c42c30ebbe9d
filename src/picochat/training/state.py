"""What a training run remembers between two steps, and writes into its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class TrainState:
    """Counters of a stage. `step` counts optimizer updates, skipped ones included."""

    step: int = 0
    tokens_seen: int = 0
    targets_seen: int = 0
    skipped_steps: int = 0
    best_val_loss: float | None = None
    best_step: int | None = None
    guard: dict[str, Any] = field(default_factory=dict)
    batches: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    """Validations so far: step, loss, bpb."""
    resumes: list[dict[str, Any]] = field(default_factory=list)
    """Resumes so far: step, and what differed."""
    ema_updates: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainState:
        return cls(**values)
