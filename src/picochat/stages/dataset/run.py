"""The dataset stage: a pack becomes the corpus with its records and dropped list, chat rows, and the manifest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.fs import make_dir
from picochat.core.hashing import digest_of
from picochat.data.builtin import BUILTIN_PATHS
from picochat.data.config import DatasetConfig
from picochat.data.conversations import encode_rows
from picochat.data.corpus import CorpusReader
from picochat.data.pack import BUILTIN, LoadedPack, Source, Split, load_pack
from picochat.stages.contract import StageContext
from picochat.stages.dataset.build import EXACT_DUPLICATE, CorpusTally, SourceTally, build_corpus, recompute_checks
from picochat.stages.dataset.chat import ChatSets, build_chat

STAGE = "dataset"
_OUTPUTS = {
    "corpus": layout.CORPUS,
    "corpus_documents": layout.CORPUS_DOCUMENTS,
    "corpus_dropped": layout.CORPUS_DROPPED,
    "chat_train": layout.CHAT_TRAIN,
    "chat_heldout": layout.CHAT_HELDOUT,
    "chat_eval": layout.CHAT_EVAL,
}


def run(ctx: StageContext, config: DatasetConfig) -> None:
    """Builds the dataset of a run; on any error none of its files is left.

    Raises `usage.*`, `config.*`, `source.*`, `data.*`, `chat.*`, `eval.row`, `skills.*` or `disk.*`.
    """
    record = ctx.record(STAGE, config)
    loaded = load_pack(config.pack)
    split = _resolved_split(loaded, config)
    _record_inputs(record, loaded)
    with _all_or_nothing(ctx.store):
        text, records, dropped = (
            ctx.store.path(name) for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_DROPPED)
        )
        tally = build_corpus(loaded, config, split, (text, records, dropped), ctx.progress)
        reader = CorpusReader(text, records)
        chat = build_chat(
            loaded, config.skills if config.generate_skills else None, split, list(reader.iter_texts("train"))
        )
        _write_chat(ctx.store, chat)
        for kind, name in _OUTPUTS.items():
            record.add_output(kind, name)
        warnings = _warnings(loaded, tally, chat)
        body = _manifest_body(loaded, split, tally, recompute_checks(reader, split), chat, warnings)
        ctx.store.write_report(layout.CORPUS_MANIFEST, "corpus_manifest", body, record.manifest(ctx.clock.monotonic()))
    for warning in warnings:
        ctx.events.emit("warning", STAGE, code="dataset", text=warning)


@contextlib.contextmanager
def _all_or_nothing(store: RunStore) -> Iterator[None]:
    """Takes the stage's files away again when it fails: without their manifest nobody could trust them."""
    try:
        yield
    except BaseException:
        for name in _OUTPUTS.values():
            store.path(name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            store.path(layout.CHAT_TRAIN).parent.rmdir()
        raise


def _resolved_split(loaded: LoadedPack, config: DatasetConfig) -> Split:
    """The pack's split with the configuration's fraction in place of its own, if there is one."""
    split = loaded.pack.split
    return split if config.val_fraction is None else Split(val_fraction=config.val_fraction, salt=split.salt)


def _record_inputs(record: StageRecord, loaded: LoadedPack) -> None:
    """Single files are named with their digests; the content of a folder is covered by its source's digest."""
    if loaded.file is not None:
        record.add_input("pack", loaded.file)
    files = [("source", source.path) for source in loaded.pack.sources if source.path not in BUILTIN_PATHS]
    files += [("chat", file.path) for file in loaded.pack.chat] + [("eval", file.path) for file in loaded.pack.eval]
    for kind, name in files:
        if loaded.resolve(name).is_file():
            record.add_input(kind, loaded.resolve(name))


def _write_chat(store: RunStore, chat: ChatSets) -> None:
    make_dir(store.path(layout.CHAT_TRAIN).parent)
    store.write(layout.CHAT_TRAIN, encode_rows(chat.train))
    store.write(layout.CHAT_HELDOUT, encode_rows(chat.heldout))
    store.write(layout.CHAT_EVAL, encode_rows(chat.eval))


def _manifest_body(
    loaded: LoadedPack, split: Split, tally: CorpusTally, checks: dict[str, int], chat: ChatSets, warnings: list[str]
) -> dict[str, Any]:
    pack = loaded.pack
    read = sum(source.read for source in tally.sources.values())
    balanced = sum(tally.documents) + tally.dropped.total() == read
    return {
        "pack": {
            "name": pack.name,
            "description": pack.description,
            "languages": pack.languages,
            "digest": digest_of(pack.as_dict()),
            "path": _pack_path(loaded),
        },
        "sources": [_source_body(source, tally.sources[source.id]) for source in pack.sources],
        "split": split.as_dict(),
        "counts": _counts(tally),
        "dropped": {"by_reason": dict(tally.dropped), "samples": tally.samples},
        "duplicates": {"exact_removed": tally.dropped[EXACT_DUPLICATE], "near": "not_run"},
        "checks": {"documents_plus_dropped_equals_read": balanced, **checks},
        "identity": pack.identity.as_dict(),
        "benchmarks": [
            benchmark.as_dict() | {"path": str(loaded.resolve(benchmark.path))} for benchmark in pack.benchmarks
        ],
        "chat": chat.summary(),
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


def _source_body(source: Source, tally: SourceTally) -> dict[str, Any]:
    return {
        "id": source.id,
        "path": source.path,
        "format": source.format,
        "documents_are": "guessed" if source.format == "guessed" else "given",
        "revision": source.revision,
        "licence": source.licence,
        "sha256": tally.content.hexdigest(),
        "read": tally.read,
        "kept": tally.kept,
        "dropped": dict(tally.dropped),
        "front_matter": tally.front_matter,
        "secrets": tally.secrets,
    }


def _pack_path(loaded: LoadedPack) -> str:
    if loaded.file is None and loaded.pack.sources[0].path in BUILTIN_PATHS:
        return BUILTIN
    return str((loaded.file or loaded.root).resolve())


def _warnings(loaded: LoadedPack, tally: CorpusTally, chat: ChatSets) -> list[str]:
    found = []
    for source in loaded.pack.sources:
        unknown = [key for key in ("licence", "revision") if getattr(source, key) == "unknown"]
        if unknown:
            found.append(f"source {source.id}: {' and '.join(unknown)} unknown")
        if source.format == "guessed":
            found.append(f"source {source.id}: documents are guessed from empty lines")
        if tally.sources[source.id].secrets:
            found.append(f"source {source.id}: {tally.sources[source.id].secrets:,} documents hold key-like secrets")
    if chat.mixed:
        found.append(f"chat: {chat.mixed:,} rows have a held-out part and are in no set")
    if chat.disjoint_violations:
        found.append(f"chat: {chat.disjoint_violations:,} rows share a template or an entity with an eval set")
    return found
