"""What a training run remembers between two steps, and writes into its checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from picochat.core.errors import refuse


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
    """Resumes so far: from which step, steps repeated, those that differed, whether it was exact (None: unknown)."""
    ema_updates: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainState:
        """Raises `checkpoint.state` unless every field is there and no other: a resume never takes a default."""
        require_keys(values, {entry.name for entry in fields(cls)}, "the training state")
        return cls(**values)


def require_keys(values: Mapping[str, Any], expected: Collection[str], what: str) -> None:
    """Raises `checkpoint.state` with the first key that is missing or unknown."""
    if absent := sorted(set(expected) - set(values)):
        refuse("checkpoint.state", f"{what} of the checkpoint lacks {absent[0]!r} ({len(absent)} in all)")
    if unknown := sorted(set(values) - set(expected)):
        refuse("checkpoint.state", f"{what} of the checkpoint has {unknown[0]!r}, which this version does not know")
