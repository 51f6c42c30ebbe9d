"""What goes into a bundle and what stays out, from the list in summary.json; which files may stay out at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.bundle_record import BundledFile, LeftOut, record_bytes
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.code_record import code_record
from picochat.artifacts.store import RunStore
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_file
from picochat.judgement.evidence import JUDGED_STAGE
from picochat.judgement.summary import listed_digests
from picochat.judgement.verify import verify_run

WEIGHTS, TEXT, SHARDS, STATE = "weights", "text", "shards", "state"
REASONS = {
    WEIGHTS: "the judged weights, left out by --without-weights",
    TEXT: "the text of the corpus; --with-corpus takes it in",
    SHARDS: "tokens of the corpus; --with-shards takes them in",
    STATE: "tensors of a training's state, not the judged weights",
}
JUDGED_WEIGHTS = f"{layout.checkpoint_dir(JUDGED_STAGE)}/{layout.CKPT_WEIGHTS}"
_CHECKPOINTS = frozenset({layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS, layout.BEST, layout.KEPT})
_TENSORS = PurePosixPath(layout.CKPT_WEIGHTS).suffix
_STALE = frozenset({"verify.gate", "verify.summary"})
"""Findings that `picochat gate` mends."""


@dataclass(frozen=True)
class BundleOptions:
    weights: bool = True
    corpus: bool = False
    shards: bool = False


def kind_of(path: str) -> str | None:
    """What a file is that a bundle may leave out; None for one that every bundle holds."""
    parts = PurePosixPath(path).parts
    if path == JUDGED_WEIGHTS:
        return WEIGHTS
    if path in (layout.CORPUS, layout.CORPUS_DOCUMENTS):
        return TEXT
    if parts[0] == layout.SHARDS and path != layout.SHARDS_MANIFEST:
        return SHARDS
    return STATE if _CHECKPOINTS & set(parts) and path.endswith(_TENSORS) else None


def plan_bundle(store: RunStore, options: BundleOptions) -> tuple[list[BundledFile], list[LeftOut]]:
    """Files in and files out, in the order of their names. The run must have been verified."""
    taken = {WEIGHTS: options.weights, TEXT: options.corpus, SHARDS: options.shards, STATE: False}
    summary = store.read(layout.SUMMARY)
    listed = {path: BundledFile(path=path, bytes=b, sha256=d) for path, (b, d) in listed_digests(summary).items()}
    own = store.path(layout.SUMMARY)
    listed[layout.SUMMARY] = BundledFile(path=layout.SUMMARY, bytes=own.stat().st_size, sha256=sha256_file(own))
    files, left_out = [], []
    for path, file in sorted(listed.items()):
        kind = kind_of(path)
        if kind is None or taken[kind]:
            files.append(file)
        else:
            left_out.append(LeftOut(**file.model_dump(), reason=REASONS[kind]))
    return files, left_out


def build_record(store: RunStore, files: list[BundledFile], left_out: list[LeftOut]) -> bytes:
    """bundle.json."""
    gate, run = store.read(layout.GATE), store.read(layout.RUN)
    fields: dict[str, Any] = {key: gate[key] for key in ("verdict", "profile", "profile_version", "weights_digest")}
    fields |= {"name": run["name"], "run_digest": store.run_digest(), "code": code_record().to_json()}
    fields |= {"files": [file.to_json() for file in files], "left_out": [file.to_json() for file in left_out]}
    return record_bytes(fields)


def require_bundleable(store: RunStore) -> None:
    """Raises `bundle.not_judged`, `bundle.stale` (judge again) or `artifact.changed` (the chain is broken)."""
    if not store.has(layout.GATE) or not store.has(layout.SUMMARY):
        refuse("bundle.not_judged", f"{store.root} has no verdict yet", fix=f"picochat gate {store.root}")
    results = verify_run(store)
    blocks = [result for result in results if result.verdict == "block"]
    if broken := [result for result in blocks if result.id not in _STALE]:
        refuse("artifact.changed", f"{store.root} does not verify: {_name(broken[0])} ({len(broken)} in all)")
    if blocks:
        refuse(
            "bundle.stale",
            f"the verdict of {store.root} is stale: {_name(blocks[0])} ({len(blocks)} in all)",
            fix=f"picochat gate {store.root}",
        )
    if unlisted := [result for result in results if result.id == "verify.unlisted"]:
        refuse(
            "bundle.stale",
            f"{unlisted[0].evidence[0].artifact} is listed nowhere ({len(unlisted)} in all)",
            fix=f"remove it, or picochat gate {store.root}",
        )


def _name(result: CheckResult) -> str:
    return f"{result.evidence[0].artifact}: {result.measured}"
