"""Saving: the state of a training as named byte streams, published as one folder or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint.format import FINITE_PARTS, TENSOR_FILES, CheckpointManifest, manifest_bytes, parse_manifest
from picochat.checkpoint.tensors import first_nonfinite, state_bytes, tensor_stream, weights_digest
from picochat.checkpoint.verify import is_whole
from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.core.fs import raise_disk_error
from picochat.core.jsonio import pretty_json
from picochat.core.publish import FileDigest, Staged, Stream, bytes_stream, publish_folder, stage_file
from picochat.core.swap import Exchange, exchange_names

_OVERHEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckpointFacts:
    """What the manifest says beside the digests."""

    stage: str
    step: int
    tokens_seen: int
    fingerprint: Mapping[str, Any]
    run_digest: str
    """sha256 of run.json."""
    world_size: int = 1


def save_checkpoint(
    stage_dir: Path,
    *,
    facts: CheckpointFacts,
    weights: Mapping[str, Tensor],
    model_config: Mapping[str, Any],
    train_state: Mapping[str, Any],
    optimizer: Mapping[str, Tensor] | None = None,
    rng: Mapping[str, Tensor] | None = None,
    ema: Mapping[str, Tensor] | None = None,
    slices: Mapping[str, Staged] | None = None,
    name: str = layout.CHECKPOINT,
    exchange: Exchange = exchange_names,
) -> CheckpointManifest:
    """Durably replaces `stage_dir/name`; `checkpoint` keeps its predecessor as `checkpoint.previous`.

    `slices` are files that the ranks have written with `write_slice`, in place of `optimizer` and `ema`.
    `train_state` is JSON; step and tokens_seen of `facts` are added to it. When this returns, the checkpoint was read
    back and may be acknowledged. Raises `checkpoint.poisoned` (NaN or infinity), `run.busy`, `disk.full` or `disk.io`.
    """
    given = {"weights": weights, "optimizer": optimizer, "rng": rng, "ema": ema}
    parts = {part: state for part, state in given.items() if state is not None}
    _require_finite(parts, facts.step)
    streams = _streams(parts, model_config, _complete(train_state, facts))
    written: list[bytes] = []

    pool = ThreadPoolExecutor(max_workers=1)
    digest = pool.submit(weights_digest, weights)
    pool.shutdown(wait=False)

    def manifest(files: dict[str, FileDigest]) -> bytes:
        entries = {file: entry._asdict() for file, entry in files.items()}
        changing = {"files": entries, "weights_digest": digest.result(), "saved_at": utc_now()}
        written.append(manifest_bytes(_facts(facts) | changing))
        parse_manifest(written[-1], layout.CKPT_MANIFEST)
        return written[-1]

    publish_folder(
        stage_dir,
        name,
        streams,
        manifest,
        verify=is_whole,
        expected_bytes=sum(map(state_bytes, parts.values())) + _OVERHEAD_BYTES,
        manifest_name=layout.CKPT_MANIFEST,
        keep_previous=name == layout.CHECKPOINT,
        staged=slices,
        exchange=exchange,
    )
    return parse_manifest(written[-1], layout.CKPT_MANIFEST)


def write_slice(
    stage_dir: Path, rank: int, world_size: int, step: int, parts: Mapping[str, Mapping[str, Tensor]]
) -> Staged:
    """One rank's slices of `optimizer` and `ema`, on disk beside the checkpoint that they will become a part of.

    Raises `checkpoint.poisoned` (NaN or infinity), `disk.full` or `disk.io`.
    """
    _require_finite(parts, step)
    tensors = {f"{part}/{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
    name = layout.checkpoint_slice(rank, world_size)
    try:
        return stage_file(stage_dir, name, tensor_stream(tensors))
    except OSError as err:
        raise_disk_error(err, stage_dir / name, state_bytes(tensors))


def _require_finite(parts: Mapping[str, Mapping[str, Tensor]], step: int) -> None:
    for part in FINITE_PARTS:
        if (bad := first_nonfinite(parts.get(part, {}))) is not None:
            refuse("checkpoint.poisoned", f"step {step}: {part} tensor {bad} holds NaN or infinity; nothing was saved")


def _complete(train_state: Mapping[str, Any], facts: CheckpointFacts) -> dict[str, Any]:
    own = {"step": facts.step, "tokens_seen": facts.tokens_seen}
    if wrong := [key for key, value in own.items() if train_state.get(key, value) != value]:
        raise ValueError(f"train_state has {wrong[0]} {train_state[wrong[0]]}, the facts say {own[wrong[0]]}")
    return {**train_state, **own}


def _streams(
    parts: Mapping[str, Mapping[str, Tensor]], model_config: Mapping[str, Any], train_state: Mapping[str, Any]
) -> dict[str, Stream]:
    streams = {TENSOR_FILES[part]: tensor_stream(state) for part, state in parts.items()}
    streams[layout.CKPT_MODEL_CONFIG] = bytes_stream(pretty_json(dict(model_config)))
    streams[layout.CKPT_TRAIN_STATE] = bytes_stream(pretty_json(dict(train_state)))
    return streams


def _facts(facts: CheckpointFacts) -> dict[str, Any]:
    return {
        "stage": facts.stage,
        "step": facts.step,
        "tokens_seen": facts.tokens_seen,
        "fingerprint": dict(facts.fingerprint),
        "world_size": facts.world_size,
        "run_digest": facts.run_digest,
    }
