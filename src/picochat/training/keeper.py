"""The durable side of a trainer: what goes into its checkpoint, and how it comes back to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint.fingerprint import claims_exact, require_fingerprint
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.reader import LoadedCheckpoint, load_checkpoint, load_for_resume
from picochat.checkpoint.rng import capture_rng, restore_rng
from picochat.checkpoint.tensors import weights_digest
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint
from picochat.core.errors import refuse
from picochat.model.transformer import Transformer
from picochat.training.config import ResumeConfig
from picochat.training.state import TrainState, require_keys
from picochat.training.trainer import Trainer


@dataclass(frozen=True)
class Resumed:
    """From where training goes on, and whether it may be called exact."""

    state: TrainState
    compile: bool
    may_be_exact: bool
    warning: str | None


class Keeper:
    """Saves and restores the trainer of one stage folder."""

    def __init__(self, stage_dir: Path, stage: str, run_digest: str, fingerprint: Mapping[str, Any]) -> None:
        self._dir = stage_dir
        self._stage = stage
        self._run_digest = run_digest
        self.fingerprint = dict(fingerprint)

    def save(self, trainer: Trainer, name: str = layout.CHECKPOINT) -> CheckpointManifest:
        """A complete checkpoint of this moment below the stage; when it returns, the bytes were read back from disk."""
        state, ema = trainer.state, trainer.loop.ema
        state.guard = trainer.loop.guard.state_dict()
        state.batches = trainer.batches.state_dict()
        state.ema_updates = ema.updates if ema else 0
        model = trainer.model
        assert isinstance(model, Transformer)
        folder = self._dir / name
        return save_checkpoint(
            folder.parent,
            name=folder.name,
            facts=CheckpointFacts(
                self._stage, state.step, state.tokens_seen, self.fingerprint, self._run_digest, trainer.world.size
            ),
            weights=named_weights(model),
            model_config=model.config.as_dict(),
            train_state=state.as_dict(),
            optimizer=trainer.optimizer.state_tensors(),
            rng=capture_rng(rank=trainer.world.rank),
            ema=ema.state_dict() if ema else None,
        )

    def restore(self, trainer: Trainer, policy: ResumeConfig) -> Resumed | None:
        """Puts the newest whole checkpoint into the trainer; None when there is none.

        Raises `resume.fingerprint` when a condition of the training differs and the policy does not accept it. The
        compile mode is the saved one, so that `auto` cannot choose differently half-way.
        """
        model = trainer.model
        assert isinstance(model, Transformer)
        weights = named_weights(model)
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        point = load_for_resume(self._dir, expected_shapes=shapes, run_digest=self._run_digest)
        saved = point.checkpoint
        if saved is None:
            return None
        self.fingerprint["compile_mode"] = saved.manifest.fingerprint.get("compile_mode")
        differences = require_fingerprint(saved.manifest.fingerprint, self.fingerprint, policy.accept, policy.elastic)
        _restore_parts(trainer, model, saved)
        state = trainer.state
        return Resumed(state, self.fingerprint["compile_mode"] == "block", claims_exact(differences), point.warning)

    def take_best(self, trainer: Trainer) -> None:
        """Puts the weights of `best/` into the model."""
        model = trainer.model
        assert isinstance(model, Transformer)
        best = load_checkpoint(self._dir / layout.BEST, run_digest=self._run_digest, parts={"weights"})
        load_weights(model, best.weights or {})


def _restore_parts(trainer: Trainer, model: Transformer, saved: LoadedCheckpoint) -> None:
    """Everything that was saved, complete or refused: a part that is missing is never taken as fresh."""
    state, ema = TrainState.from_dict(saved.train_state), trainer.loop.ema
    wanted = ("weights", "optimizer", "rng", "ema") if ema else ("weights", "optimizer", "rng")
    if absent := [name for name in wanted if getattr(saved, name) is None]:
        refuse("checkpoint.state", f"step {state.step}: the checkpoint has no {absent[0]} to go on with")
    require_keys(state.guard, trainer.loop.guard.state_dict(), "the guard")
    require_keys(state.batches, trainer.batches.state_dict(), "the position in the data")
    load_weights(model, saved.weights or {})
    optimizer = saved.optimizer or {}
    if not optimizer and state.step > state.skipped_steps:
        refuse("checkpoint.state", f"step {state.step}: the optimizer's state is empty after accepted steps")
    trainer.optimizer.load_state_tensors(optimizer)
    if ema:
        ema.load_state_dict(saved.ema or {}, state.ema_updates)
    trainer.loop.guard.load_state_dict(state.guard)
    trainer.batches.load_state_dict(state.batches)
    restore_rng(saved.rng or {}, rank=trainer.world.rank)
    trainer.state = state


def named_weights(model: Transformer) -> dict[str, Tensor]:
    """The parameters by name: what is saved, digested and judged."""
    return {name: p.detach() for name, p in model.named_parameters()}


def load_weights(model: Transformer, weights: Mapping[str, Tensor]) -> None:
    """Copies tensors into the model's own memory. The names must be exactly the model's."""
    model.load_state_dict(dict(weights), strict=True)


def state_digest(trainer: Trainer) -> str:
    """One digest over weights, optimizer and EMA: what a resumed run must have in common with an uninterrupted one."""
    model = trainer.model
    assert isinstance(model, Transformer)
    tensors = {f"weights/{name}": tensor for name, tensor in named_weights(model).items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in trainer.optimizer.state_tensors().items()}
    if trainer.loop.ema:
        tensors |= {f"ema/{name}": tensor for name, tensor in trainer.loop.ema.state_dict().items()}
    return weights_digest(tensors)


def rng_digest(rank: int = 0) -> str:
    """One digest over the states of all random generators."""
    return weights_digest(capture_rng(rank=rank))
