"""What the manifest of a corpus says: sources, counts, drops, duplicates, checks, and what a reader is warned of."""

from __future__ import annotations

from typing import Any

from picochat.core.hashing import digest_of
from picochat.data.builtin import BUILTIN_PATHS
from picochat.data.holdout import HoldoutFacts
from picochat.data.pack import BUILTIN, LoadedPack, Source, Split
from picochat.stages.dataset.build import EXACT_DUPLICATE, NEAR_DUPLICATE, CorpusTally, SourceTally
from picochat.stages.dataset.chat import ChatSets
from picochat.stages.dataset.imported import describe_import
from picochat.stages.dataset.planted import describe_planted, warn_of_planted

NEAR_LEFT_WARNS = 0.01
UNKNOWN = "unknown"


def describe_dataset(
    loaded: LoadedPack, split: Split, tally: CorpusTally, checks: dict[str, int], chat: ChatSets, warnings: list[str]
) -> dict[str, Any]:
    """The body of corpus_manifest.json."""
    pack = loaded.pack
    return {
        "pack": {
            "name": pack.name,
            "description": pack.description,
            "languages": pack.languages,
            "digest": digest_of(pack.as_dict()),
            "path": _pack_path(loaded),
            "contamination": pack.contamination,
        },
        "sources": [describe_source(loaded, source, tally.sources[source.id]) for source in pack.sources],
        "split": split.as_dict(),
        "counts": _counts(tally),
        "dropped": {"by_reason": dict(tally.dropped), "samples": tally.samples},
        "duplicates": {
            "exact_removed": tally.dropped[EXACT_DUPLICATE],
            "near_removed": tally.dropped[NEAR_DUPLICATE],
            "near": tally.duplicates or "not_run",
        },
        "checks": {"documents_read": sum(source.read for source in tally.sources.values()), **checks},
        "identity": pack.identity.as_dict(),
        "benchmarks": [
            benchmark.as_dict() | {"path": str(loaded.resolve(benchmark.path))} for benchmark in pack.benchmarks
        ],
        "chat": chat.summary(),
        "canaries": describe_planted(pack.canaries, tally.planted),
        "warnings": warnings,
    }


def _counts(tally: CorpusTally) -> dict[str, int]:
    train, val = tally.documents
    return {
        "documents": train + val,
        "train_documents": train,
        "val_documents": val,
        "bytes": sum(tally.bytes),
        "train_bytes": tally.bytes[0],
        "val_bytes": tally.bytes[1],
        "chars": tally.chars,
    }


def describe_source(loaded: LoadedPack, source: Source, tally: SourceTally) -> dict[str, Any]:
    """One source: where it comes from, what was read of it, and how often an epoch takes it."""
    imported = describe_import(loaded, source)
    origin = imported["origin"] if imported else {}
    return {
        "id": source.id,
        "path": source.place,
        "format": "import" if imported else source.format,
        "documents_are": "guessed" if source.format == "guessed" else "given",
        "revision": known(source.revision, origin.get("revision")),
        "licence": known(source.licence, origin.get("licence")),
        "import": imported,
        "weight": source.weight,
        "token_budget": source.token_budget,
        "sha256": tally.content,
        "read": tally.read,
        "kept": tally.kept,
        "train_bytes": tally.train_bytes,
        "dropped": dict(tally.dropped),
        "front_matter": tally.front_matter,
        "secrets": tally.secrets,
        "emails": tally.emails,
    }


def known(given: str, imported: str | None) -> str:
    """What the pack says, else what the import found."""
    return given if given != UNKNOWN or not imported else imported


def _pack_path(loaded: LoadedPack) -> str:
    if loaded.file is None and loaded.pack.sources[0].path in BUILTIN_PATHS:
        return BUILTIN
    return str((loaded.file or loaded.root).resolve())


def warnings_of(loaded: LoadedPack, tally: CorpusTally, chat: ChatSets, facts: HoldoutFacts) -> list[str]:
    """What a reader should know before training on it."""
    found = []
    for source in loaded.pack.sources:
        described = describe_source(loaded, source, tally.sources[source.id])
        unknown = [key for key in ("licence", "revision") if described[key] == UNKNOWN]
        if unknown:
            found.append(f"source {source.id}: {' and '.join(unknown)} unknown")
        if source.format == "guessed":
            found.append(f"source {source.id}: documents are guessed from empty lines")
        if tally.sources[source.id].secrets:
            found.append(f"source {source.id}: {tally.sources[source.id].secrets:,} documents hold key-like secrets")
        if tally.sources[source.id].emails:
            found.append(f"source {source.id}: {tally.sources[source.id].emails:,} documents hold e-mail addresses")
    if facts.audited and facts.audit_near / facts.audited > NEAR_LEFT_WARNS:
        found.append(
            f"near duplicates are left: {facts.audit_near:,} of {facts.audited:,} sampled documents have a near copy"
        )
    if facts.near_leak:
        found.append(
            f"{facts.near_leak:,} held-out documents have a near copy on the train side: data.split_leak will block a "
            "release (data.duplicates.near and data.duplicates.threshold decide what is removed)"
        )
    found += warn_of_planted(describe_planted(loaded.pack.canaries, tally.planted), tally.bytes[0])
    if chat.mixed:
        found.append(f"chat: {chat.mixed:,} rows have a held-out part and are in no set")
    if chat.disjoint_violations:
        found.append(f"chat: {chat.disjoint_violations:,} rows share a template or an entity with an eval set")
    return found
