"""The durable side of a trainer: what goes into its checkpoint, and how it comes back to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from picochat.artifacts import layout
from picochat.checkpoint.fingerprint import Difference, claims_exact, require_fingerprint
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.reader import LoadedCheckpoint, await_manifest, load_checkpoint, load_for_resume
from picochat.checkpoint.rng import capture_rng, restore_rng
from picochat.checkpoint.tensors import pack_tensors, unpack_tensors, weights_digest
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint, write_slice
from picochat.core.errors import PicochatError, refuse
from picochat.core.failpoints import failpoint
from picochat.core.jsonio import canonical_json, parse_json
from picochat.core.publish import FileDigest, Staged
from picochat.distributed.control import describe_error
from picochat.distributed.shards import Gathered, gather_to_main, own_slices, slice_like
from picochat.distributed.world import World
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
    differences: list[Difference]
    """Conditions that are not those of the checkpoint and were allowed."""


class Keeper:
    """Saves and restores the trainer of one stage folder."""

    def __init__(self, stage_dir: Path, stage: str, run_digest: str, fingerprint: Mapping[str, Any]) -> None:
        self._dir = stage_dir
        self._stage = stage
        self._run_digest = run_digest
        self.fingerprint = dict(fingerprint)

    def save(self, trainer: Trainer, name: str = layout.CHECKPOINT) -> CheckpointManifest:
        """A complete checkpoint of this moment below the stage; when it returns, the bytes were read back from disk.

        All ranks hold the same bits, or nothing is saved; rank 0 writes. Raises `launch.replicas`, `checkpoint.*`,
        `disk.*`.
        """
        world = trainer.world
        trainer.require_equal_replicas()
        rng = _gather_rng(world)
        if trainer.loop.strategy.replicated:
            weights, slices = named_weights(trainer.model), None
        else:
            weights, slices = self._write_slices(trainer)
        failpoint("ckpt.between_ranks")
        try:
            manifest = world.ranks.on_main(
                f"saving {self._stage}/{name} at step {trainer.state.step:,}",
                lambda: self._save(trainer, name, weights, slices, rng).to_json(),
            )
        finally:
            for entry in (slices or {}).values():
                entry.path.unlink(missing_ok=True)
        return CheckpointManifest.from_json(manifest, layout.CKPT_MANIFEST)

    def _write_slices(self, trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, Staged]]:
        """Whole weights on rank 0, and the files in which every rank has put its slices of all else.

        Either all ranks have written, or all raise what the first of them met.
        """
        world, ema = trainer.world, trainer.loop.ema
        parts = {"optimizer": own_slices(world, trainer.optimizer.state_tensors())}
        parts |= {"ema": own_slices(world, ema.state_dict())} if ema else {}
        found: dict[str, Any] = {}
        try:
            staged = write_slice(self._dir, world.rank, world.size, trainer.state.step, parts)
            found = {"path": str(staged.path), "bytes": staged.digest.bytes, "sha256": staged.digest.sha256}
        except PicochatError as err:
            found = {"error": describe_error(err)}
        entries = [parse_json(data, "slice of a rank") for data in world.gather_bytes(canonical_json(found))]
        if failed := [entry["error"] for entry in entries if "error" in entry]:
            if "path" in found:
                Path(found["path"]).unlink(missing_ok=True)
            refuse(failed[0]["code"], failed[0]["detail"], why=failed[0]["why"], fix=failed[0]["fix"])
        weights = gather_to_main(world, named_weights(trainer.model))
        slices = {
            layout.checkpoint_slice(rank, world.size): Staged(
                Path(entry["path"]), FileDigest(entry["bytes"], entry["sha256"])
            )
            for rank, entry in enumerate(entries)
        }
        return weights, slices

    def _save(
        self,
        trainer: Trainer,
        name: str,
        weights: Mapping[str, Tensor],
        slices: Mapping[str, Staged] | None,
        rng: Mapping[str, Tensor],
    ) -> CheckpointManifest:
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
            weights=weights,
            model_config=model.config.as_dict(),
            train_state=state.as_dict(),
            optimizer=None if slices else trainer.optimizer.state_tensors(),
            rng=rng,
            ema=ema.state_dict() if ema and not slices else None,
            slices=slices,
        )

    def restore(self, trainer: Trainer, policy: ResumeConfig) -> Resumed | None:
        """Puts the newest whole checkpoint into the trainer of every rank; None when there is none.

        Rank 0 alone mends what a crash has left; then every rank reads the folder. The compile mode is the saved one,
        so that `auto` cannot choose differently half-way. Raises `resume.fingerprint` when a condition of the training
        differs and the policy does not accept it.
        """
        model = trainer.model
        assert isinstance(model, Transformer)
        weights = named_weights(model)
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        saved, warning = self._load(trainer.world, shapes)
        if saved is None:
            return None
        self.fingerprint["compile_mode"] = saved.manifest.fingerprint.get("compile_mode")
        differences = require_fingerprint(saved.manifest.fingerprint, self.fingerprint, policy.accept, policy.elastic)
        _restore_parts(trainer, model, saved)
        state = trainer.state
        compiled = self.fingerprint["compile_mode"] == "block"
        return Resumed(state, compiled, claims_exact(differences), warning, differences)

    def _load(self, world: World, shapes: dict[str, tuple[int, ...]]) -> tuple[LoadedCheckpoint | None, str | None]:
        """The same checkpoint on every rank, and what was not as it should be."""
        mine: list[LoadedCheckpoint | None] = []

        def recover() -> dict[str, Any]:
            point = load_for_resume(self._dir, expected_shapes=shapes, run_digest=self._run_digest)
            mine.append(point.checkpoint)
            digest = point.checkpoint.manifest.manifest_digest if point.checkpoint else None
            return {"digest": digest, "warning": point.warning}

        found = world.ranks.on_main(f"looking for a checkpoint of {self._stage}", recover)
        if mine or found["digest"] is None:
            return (mine[0] if mine else None), found["warning"]
        await_manifest(self._dir / layout.CHECKPOINT, found["digest"])
        path = self._dir / layout.CHECKPOINT
        saved = load_checkpoint(path, expected_shapes=shapes, run_digest=self._run_digest)
        return saved, found["warning"]

    def branch(
        self, trainer: Trainer, folder: Path, require: Callable[[Mapping[str, Any], Mapping[str, Any], int], None]
    ) -> None:
        """Puts a checkpoint of another training into the trainer of every rank, once `require` has allowed it.

        `require` is handed the saved conditions, the own ones and the step. The compile mode is the saved one.
        """
        model = trainer.model
        assert isinstance(model, Transformer)
        shapes = {name: tuple(tensor.shape) for name, tensor in named_weights(model).items()}
        saved = load_checkpoint(folder, expected_shapes=shapes)
        self.fingerprint["compile_mode"] = saved.manifest.fingerprint.get("compile_mode")
        require(saved.manifest.fingerprint, self.fingerprint, saved.manifest.step)
        _restore_parts(trainer, model, saved)

    def take_best(self, trainer: Trainer) -> None:
        """Puts the weights of `best/` into the model of every rank."""
        model, path = trainer.model, self._dir / layout.BEST
        assert isinstance(model, Transformer)
        digest = trainer.world.ranks.on_main(
            "looking for the best checkpoint", lambda: load_checkpoint(path, parts=()).manifest.manifest_digest
        )
        await_manifest(path, digest)
        best = load_checkpoint(path, run_digest=self._run_digest, parts={"weights"})
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
    world = trainer.world
    if world.rank < saved.manifest.world_size:  # more ranks than before: the new ones keep their seeded generators
        restore_rng(saved.rng or {}, rank=world.rank, cuda=_own_devices(world))
    trainer.state = state


def _gather_rng(world: World) -> dict[str, Tensor]:
    """The generators of all ranks, by names that begin with the rank."""
    parts = world.gather_bytes(pack_tensors(capture_rng(rank=world.rank, cuda=_own_devices(world))))
    return {name: state for part in parts for name, state in unpack_tensors(part, "generators of a rank").items()}


def _own_devices(world: World) -> list[int]:
    """The CUDA devices of this process."""
    return [world.device.index or 0] if world.device.type == "cuda" else []


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters by name: what is saved, digested and judged."""
    return {name: p.detach() for name, p in model.named_parameters()}


def load_weights(model: Transformer, weights: Mapping[str, Tensor]) -> None:
    """Copies tensors into the model's own memory. The names must be exactly the model's."""
    sliced = {name: slice_like(p, weights[name]) for name, p in model.named_parameters() if name in weights}
    model.load_state_dict(dict(weights) | sliced, strict=True)


def state_digest(trainer: Trainer) -> str:
    """One digest over the state: what a resumed run must have in common with an uninterrupted one.

    The same for slices as for whole tensors; then every rank must ask for it.
    """
    return weights_digest(Gathered(trainer.state_tensors()))


def rng_digest() -> str:
    """One digest over the states of this process's random generators."""
    return weights_digest(capture_rng())
