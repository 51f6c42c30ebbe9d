"""Exports from the command line: made and proved below the run, judged, and given their name only then."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.export_record import ExportRecord, parity_bytes, parse_record, record_bytes
from picochat.artifacts.reports import FileRef
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.config import Config
from picochat.core.errors import refuse
from picochat.core.publish import FileDigest
from picochat.distributed.env import default_environment
from picochat.distributed.probe import set_threads
from picochat.export.folder import open_work, publish
from picochat.export.gguf_writer import require_gguf, require_types
from picochat.export.making import make_gguf, make_hf, require_target
from picochat.export.source import ExportSource, open_source, read_model_config
from picochat.export.targets import GGUF, HF, Target
from picochat.judgement.documents import load_document
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.export_parity import judge_parity
from picochat.judgement.handover import build_handover
from picochat.judgement.served_verdict import ServedVerdict, read_served_verdict
from picochat.views.card.exported import render_exported_card
from picochat.views.exports import proof_table

Say = Callable[[str], None]
FLOAT32 = ("f32",)


class ExportConfig(Config):
    """What was asked for."""

    kind: str
    types: tuple[str, ...]


class Exported(NamedTuple):
    """A published export: its folder, its record, and the numbers of its proof."""

    folder: Path
    record: ExportRecord
    parity: dict[str, Any]


def export_hf(store: RunStore, say: Say) -> Exported:
    """Raises `export.target`, `export.parity` (nothing is written then), `run.busy`, `checkpoint.*`, `disk.*`."""
    target = require_target(read_model_config(store), HF)
    return _export(store, target, FLOAT32, lambda source, candidate: make_hf(source, candidate, say), say)


def export_gguf(store: RunStore, types: tuple[str, ...], say: Say) -> Exported:
    """Also raises `export.type`, and `usage.extra` without the package gguf."""
    config = read_model_config(store)
    target = require_target(config, GGUF)
    chosen = require_types(types, config)
    require_gguf()
    make = partial(make_gguf, store=store, types=chosen, say=say)
    return _export(store, target, chosen, lambda source, candidate: make(source, candidate=candidate), say)


def _export(
    store: RunStore,
    target: Target,
    types: tuple[str, ...],
    make: Callable[[ExportSource, Path], dict[str, Any]],
    say: Say,
) -> Exported:
    started_s = time.monotonic()
    set_threads(None)
    stage = StageRecord(store, layout.EXPORT, 1, ExportConfig(kind=target.name, types=types), started_s)
    with open_work(store) as candidate:
        _keep_libraries_here(candidate.parent)
        source = open_source(store)
        stage.inputs.extend(source.inputs)
        parity = make(source, candidate)
        check = judge_parity(target.name, parity)
        _require_passed(check, parity, say)
        fields = _fields(target, types, source, read_served_verdict(store.root, source.weights_digest), check)
        (candidate / layout.PARITY).write_bytes(parity_bytes(parity))
        card = _card(store, fields | {"name": source.name}, parity)
        (candidate / layout.HF_CARD).write_text(card, encoding="utf-8")
        written: list[bytes] = []

        def build_record(files: dict[str, FileDigest]) -> bytes:
            stage.outputs[:] = [_ref(target.name, name, digest) for name, digest in sorted(files.items())]
            manifest = stage.manifest(time.monotonic())
            written.append(record_bytes(fields | {"manifest": manifest.to_json()}))
            return written[-1]

        published = publish(store, target.name, candidate, build_record)
    return Exported(published.path, parse_record(written[-1]), parity)


def _keep_libraries_here(work: Path) -> None:
    """What a proof's libraries would put into the user's home, and nothing over the network."""
    default_environment(
        {
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_MODULES_CACHE": str((work / "modules").absolute()),
            "TOKENIZERS_PARALLELISM": "false",
        }
    )


def _require_passed(check: CheckResult, parity: dict[str, Any], say: Say) -> None:
    """Raises `export.parity` after showing every number of the proof, which is kept nowhere."""
    if check.verdict == "block":
        for row in proof_table(parity).rows:
            say("  ".join(filter(None, row)))
        refuse("export.parity", f"{check.id}: {check.measured}")


def _fields(
    target: Target, types: tuple[str, ...], source: ExportSource, gate: ServedVerdict, check: CheckResult
) -> dict[str, Any]:
    return {
        "kind": target.name,
        "result": target.result,
        "types": list(types),
        "weights_digest": source.weights_digest,
        "gate": gate._asdict(),
        "parity": check.to_json(),
    }


def _card(store: RunStore, export: dict[str, Any], parity: dict[str, Any]) -> str:
    """The card of the run is taken over where its summary speaks of these very weights."""
    summary = load_document(store, layout.SUMMARY, "summary")
    if not summary.usable or summary.value("weights_digest") != export["weights_digest"]:
        return render_exported_card(export, parity, None, None)
    return render_exported_card(export, parity, summary.body, build_handover(RunEvidence(store)))


def _ref(kind: str, name: str, digest: FileDigest) -> FileRef:
    path = f"{layout.export_dir(kind)}/{name}"
    return FileRef(kind=layout.EXPORT, path=path, bytes=digest.bytes, sha256=digest.sha256)
