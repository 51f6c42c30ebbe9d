"""The checkpoints of a run: what each is, whether it is complete, and the command that goes on from it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.listing import STAGES, ListedCheckpoint, list_checkpoints, list_leftovers
from picochat.checkpoint.verify import look_at_checkpoint
from picochat.views.evals.eval_points import read_bpb
from picochat.views.plain import plain_tree
from picochat.views.reading import find_document, text_of
from picochat.workbench.routing import Call, Route


def show_checkpoints(call: Call) -> dict[str, Any]:
    """Named checkpoints by their manifests, and what lies beside them and counts for nothing.

    Files and sizes are looked at, nothing is hashed: `picochat checkpoint list` does that.
    """
    store, name = call.run, call.names["run"]
    bpb = {stage: _bpb(call, store.root, stage) for stage in STAGES}
    chosen = {stage: _chosen(store.root, stage) for stage in STAGES}
    found = list_checkpoints(store, look_at_checkpoint)
    return {
        "run": name,
        "checkpoints": plain_tree([_row(store.root, one, bpb[one.stage], chosen[one.stage]) for one in found]),
        "ignored": [left._asdict() for left in list_leftovers(store)],
        "resume": _resume(store),
        "command": f"picochat checkpoint list {call.run_word}",
    }


def _row(root: Path, found: ListedCheckpoint, bpb: Mapping[int, float], chosen: Mapping[str, Any]) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "folder": found.folder,
        "stage": found.stage,
        "role": found.role,
        "complete": manifest is not None,
        "problem": found.problem.replace(f"{root}/", ""),
        "step": manifest.step if manifest else None,
        "tokens_seen": manifest.tokens_seen if manifest else None,
        "bpb": bpb.get(manifest.step) if manifest else None,
        "bytes": sum(entry.bytes for entry in manifest.files.values()) if manifest else None,
        "saved_at": manifest.saved_at if manifest else None,
        "weights_digest": manifest.weights_digest if manifest else None,
        "world_size": manifest.world_size if manifest else None,
        "ema": _has_average(manifest) if manifest else None,
        "ships": manifest is not None and found.role == "last" and chosen["weights_digest"] == manifest.weights_digest,
        "chosen": chosen["chosen"] if found.role == "last" else None,
        "fingerprint": _flat(manifest.fingerprint) if manifest else [],
        "files": [
            {"name": name, "bytes": entry.bytes, "sha256": entry.sha256} for name, entry in manifest.files.items()
        ]
        if manifest
        else [],
    }


def _has_average(manifest: CheckpointManifest) -> bool | None:
    """Whether the weights have an average beside them; of slices that is not known without reading them."""
    return None if manifest.slices else layout.CKPT_EMA in manifest.files


def _flat(value: Any, prefix: str = "") -> list[list[Any]]:
    """[key, value] of everything in nested objects, keys joined by dots."""
    if isinstance(value, dict) and value:
        return [row for key in sorted(value) for row in _flat(value[key], f"{prefix}.{key}" if prefix else str(key))]
    return [[prefix, value]] if prefix else []


def _bpb(call: Call, root: Path, stage: str) -> Mapping[int, float]:
    files = (root / layout.EVENTS, root / layout.report_path(stage))
    return call.bench.memo.read(("bpb", str(root), stage), files, partial(read_bpb, root, stage))


def _chosen(root: Path, stage: str) -> dict[str, Any]:
    """Which weights the training ended with, as its report says."""
    report = find_document(root, layout.report_path(stage))
    return {
        "weights_digest": text_of(report.value("weights_digest")),
        "chosen": text_of(report.value("checkpoint", "chosen")),
    }


def _resume(store: RunStore) -> str | None:
    """The command that goes on with the run; None where its record does not say under which profile it runs."""
    profile = text_of(find_document(store.root, layout.RUN).value("profile"))
    return shlex.join(["picochat", "run", profile, "--out-dir", str(store.root), "--resume"]) if profile else None


ROUTES = [
    Route("GET", "api/runs/{run}/checkpoints", show_checkpoints, "What is saved", "picochat checkpoint list"),
]
