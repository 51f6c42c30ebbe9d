"""Loading: bytes proved by `verify`, compared with what the model expects, handed out as tensors.

load_checkpoint   serve, evaluate, export, gate: this folder or a refusal
load_for_resume   a resume: recovers from a crash first, and may fall back to the previous checkpoint
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint import raw
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.tensors import build_tensors
from picochat.checkpoint.verify import CheckpointBytes, is_whole, read_checkpoint_bytes
from picochat.core.errors import PicochatError, refuse
from picochat.core.fs import raise_disk_error
from picochat.core.log import LOGGER
from picochat.core.publish import PREVIOUS_SUFFIX, recover_folder, set_aside_broken, writer_lock

ALL_PARTS = frozenset({"weights", "optimizer", "rng", "ema", "train_state"})


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory. Parts that were not asked for, or not saved, are None (`train_state`: empty).

    The tensors lie on the CPU and share the bytes they were read from.
    """

    manifest: CheckpointManifest
    model_config: dict[str, Any]
    weights: dict[str, Tensor] | None
    train_state: dict[str, Any]
    optimizer: dict[str, Tensor] | None
    rng: dict[str, Tensor] | None
    ema: dict[str, Tensor] | None


@dataclass(frozen=True)
class ResumePoint:
    """Where a resume goes on: `checkpoint` is None when there is nothing to go on from."""

    checkpoint: LoadedCheckpoint | None
    warning: str | None
    """What was not as it should be, for the `warning` and `resumed` events."""
    broken: Path | None
    """Where a damaged checkpoint was put aside."""


def load_checkpoint(
    path: Path,
    *,
    expected_shapes: Mapping[str, tuple[int, ...]] | None = None,
    expected_dtype: str | None = None,
    run_digest: str | None = None,
    parts: Collection[str] = ALL_PARTS,
) -> LoadedCheckpoint:
    """Reads a checkpoint folder: descriptor, manifest, file set, hashes, then tensors. Never falls back, never renames.

    `expected_shapes` are the model's own; `expected_dtype` is a safetensors type ("F32"). A part that is not asked for
    is neither read nor hashed; its presence and size are still checked. Raises `checkpoint.*`, exit code 4.
    """
    if unknown := set(parts) - ALL_PARTS:
        raise ValueError(f"unknown parts {sorted(unknown)}")
    found = read_checkpoint_bytes(path, parts)
    _require_expected(found, path, expected_shapes, expected_dtype, run_digest)
    return _build(found, path, parts)


def load_for_resume(
    stage_dir: Path,
    *,
    expected_shapes: Mapping[str, tuple[int, ...]] | None = None,
    expected_dtype: str | None = None,
    run_digest: str | None = None,
) -> ResumePoint:
    """The newest whole checkpoint of a stage folder, after recovery.

    A damaged `checkpoint` gives way to a whole `checkpoint.previous` and is kept as `.broken-...`. Raises `run.busy`,
    `checkpoint.*` when no whole one is left or it does not fit the model, `disk.io`.
    """
    if not stage_dir.is_dir():
        return ResumePoint(None, None, None)
    with writer_lock(stage_dir):
        found, warning, broken = _recovered(stage_dir)
    if found is None:
        return ResumePoint(None, warning, None)
    path = stage_dir / layout.CHECKPOINT
    _require_expected(found, path, expected_shapes, expected_dtype, run_digest)
    return ResumePoint(_build(found, path, ALL_PARTS), warning, broken)


def await_manifest(
    path: Path, manifest_digest: str, limit_s: float = 120.0, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Waits until the folder shows the manifest that another host has written: a network file system may lag.

    Raises `checkpoint.missing` when it does not within `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            if load_checkpoint(path, parts=()).manifest.manifest_digest == manifest_digest:
                return
            seen = "another checkpoint"
        except PicochatError as err:
            seen = err.detail
        if time.monotonic() >= deadline:
            refuse("checkpoint.missing", f"{path} does not show what rank 0 sees there after {limit_s:g} s: {seen}")
        sleep(1.0)


def _recovered(stage_dir: Path) -> tuple[CheckpointBytes | None, str | None, Path | None]:
    warning = _recover(stage_dir)
    path = stage_dir / layout.CHECKPOINT
    if not path.is_symlink() and not path.exists():
        if (stage_dir / (layout.CHECKPOINT + PREVIOUS_SUFFIX)).exists():
            refuse("checkpoint.missing", f"{path} does not exist and {layout.CHECKPOINT_PREVIOUS} is damaged")
        return None, warning, None
    try:
        return read_checkpoint_bytes(path, ALL_PARTS), warning, None
    except PicochatError as err:
        broken = _fall_back(stage_dir, err)
        found = read_checkpoint_bytes(path, ALL_PARTS)
        taken = f"resuming from {layout.CHECKPOINT_PREVIOUS}, step {found.manifest.step}"
        return found, f"{err.detail}; {taken}; the damaged copy is kept in {broken}", broken


def _recover(stage_dir: Path) -> str | None:
    """Applies the crash table to `checkpoint` and `best`; says what took a missing name, or that nothing did."""
    try:
        recovery = recover_folder(stage_dir, layout.CHECKPOINT, is_whole, manifest_name=layout.CKPT_MANIFEST)
        recover_folder(stage_dir, layout.BEST, is_whole, manifest_name=layout.CKPT_MANIFEST)
    except OSError as err:
        raise_disk_error(err, stage_dir)
    if recovery.restored:
        return f"a save was interrupted before {layout.CHECKPOINT} had its name: {recovery.restored} was whole"
    if recovery.swept and not (stage_dir / layout.CHECKPOINT).exists():
        return f"the first save was interrupted and left nothing whole ({', '.join(recovery.swept)} removed)"
    return None


def _fall_back(stage_dir: Path, err: PicochatError) -> Path:
    """Puts the previous checkpoint under the name. Another format is no damage; without a whole copy nothing moves."""
    if err.code == "checkpoint.format" or not is_whole(stage_dir / layout.CHECKPOINT_PREVIOUS):
        raise err
    broken = set_aside_broken(stage_dir, layout.CHECKPOINT)
    _recover(stage_dir)
    return broken


def _require_expected(
    found: CheckpointBytes,
    path: Path,
    shapes: Mapping[str, tuple[int, ...]] | None,
    dtype: str | None,
    run_digest: str | None,
) -> None:
    saved_run = found.manifest.run_digest
    if run_digest is not None and saved_run != run_digest:
        refuse("checkpoint.other_run", f"{path} belongs to run.json {saved_run[:12]}..., this is {run_digest[:12]}...")
    for part in ("weights", "ema"):
        tensors = found.tensors.get(part)
        if tensors and shapes is not None:
            _require_shapes(tensors, shapes, f"{path} {part}")
        if tensors and dtype is not None and part == "weights":
            _require_dtype(tensors, dtype, f"{path} {part}")


def _require_shapes(tensors: Mapping[str, raw.RawTensor], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    if absent := sorted(set(shapes) - set(tensors)):
        refuse(
            "checkpoint.tensor_names", f"{what}: the model has {absent[0]!r}, the file has not ({len(absent)} in all)"
        )
    if extra := sorted(set(tensors) - set(shapes)):
        refuse("checkpoint.tensor_names", f"{what}: the file has {extra[0]!r}, the model has not ({len(extra)} in all)")
    for name in sorted(tensors):
        saved, expected = tensors[name].shape, tuple(shapes[name])
        if saved != expected:
            refuse("checkpoint.tensor_shape", f"{what}: {name} has shape {saved}, the model has {expected}")


def _require_dtype(tensors: Mapping[str, raw.RawTensor], dtype: str, what: str) -> None:
    for name in sorted(tensors):
        if tensors[name].dtype != dtype:
            refuse("checkpoint.tensor_dtype", f"{what}: {name} is {tensors[name].dtype}, the model is {dtype}")


def _build(found: CheckpointBytes, path: Path, parts: Collection[str]) -> LoadedCheckpoint:
    tensors = {part: build_tensors(raw_tensors) for part, raw_tensors in found.tensors.items()}
    manifest = found.manifest
    digest = manifest.weights_digest[:12]
    LOGGER.info("loaded %s: step %d, weights %s, saved %s", path, manifest.step, digest, manifest.saved_at)
    return LoadedCheckpoint(
        manifest=manifest,
        model_config=found.model_config,
        weights=tensors.get("weights"),
        train_state=found.train_state if "train_state" in parts else {},
        optimizer=tensors.get("optimizer"),
        rng=tensors.get("rng"),
        ema=tensors.get("ema"),
    )
