"""Proofs: what a checkpoint gives back is what was put in, to the bit; and one flipped bit is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.checkpoint.reader import LoadedCheckpoint, load_checkpoint
from picochat.checkpoint.rng import capture_rng
from picochat.checkpoint.tensors import weights_digest
from picochat.core.errors import PicochatError
from picochat.stages.sanity.building import Workplace
from picochat.stages.sanity.resume import RUN_DIGEST, build_keeper, prepare
from picochat.stages.sanity.verdicts import judge
from picochat.training.keeper import Keeper
from picochat.training.trainer import Trainer

STEPS_BEFORE = 2


def prove_saving(place: Workplace) -> list[CheckResult]:
    """Counts tensors and counters that come back different, and flipped bits that are let through."""
    folder = place.folder / "saved"
    trainer = prepare(place, folder)
    for _ in range(STEPS_BEFORE):
        trainer.train_step()
    trainer.loop.ledger.close()
    checkpoint, before, counters = save(trainer, build_keeper(place, folder), folder)
    loaded = load_checkpoint(checkpoint, run_digest=RUN_DIGEST)
    found = changed(before, saved_tensors(loaded)) + (loaded.train_state != counters)
    files = sorted(path for path in checkpoint.iterdir() if path.is_file())
    accepted = [path.name for path in files if accepts_flipped_bit(checkpoint, path)]
    return [
        judge("sanity.checkpoint", found, 0, len(before) + 1),
        judge("sanity.flipped_bit", len(accepted), 0, len(files)),
    ]


def save(trainer: Trainer, keeper: Keeper, folder: Path) -> tuple[Path, dict[str, str], dict[str, Any]]:
    """The checkpoint's folder, and what the trainer held when it was made: digests by tensor, and its counters."""
    before = {name: weights_digest({"": tensor}) for name, tensor in held_tensors(trainer).items()}
    keeper.save(trainer)
    return folder / layout.CHECKPOINT, before, trainer.state.as_dict()


def held_tensors(trainer: Trainer) -> dict[str, Tensor]:
    """All that must survive, taken from its owners and not from what saves it."""
    ema = trainer.loop.ema
    parts: dict[str, Mapping[str, Tensor]] = {
        "weights": dict(trainer.model.named_parameters()),
        "optimizer": optimizer_tensors(trainer),
        "ema": ema.averages if ema else {},
        "rng": capture_rng(rank=trainer.world.rank),
    }
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def optimizer_tensors(trainer: Trainer) -> dict[str, Tensor]:
    """Every tensor of every optimizer's state as `part/parameter/key`."""
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    return {
        f"{part}/{names[id(parameter)]}/{key}": value
        for part, optimizer in trainer.optimizer.parts.items()
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> int:
    return sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())


def saved_tensors(loaded: LoadedCheckpoint) -> dict[str, str]:
    parts = {name: getattr(loaded, name) or {} for name in ("weights", "optimizer", "ema", "rng")}
    return {
        f"{part}/{name}": weights_digest({"": tensor})
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def accepts_flipped_bit(checkpoint: Path, file: Path) -> bool:
    """Whether the checkpoint is still read with one bit in the middle of `file` turned; the bit is turned back."""
    flip_bit(file)
    try:
        load_checkpoint(checkpoint, run_digest=RUN_DIGEST)
    except PicochatError:
        return False
    finally:
        flip_bit(file)
    return True


def flip_bit(file: Path) -> None:
    middle = file.stat().st_size // 2
    with file.open("r+b") as stream:
        stream.seek(middle)
        byte = stream.read(1)[0]
        stream.seek(middle)
        stream.write(bytes([byte ^ 1]))
