"""The dataset stage: a pack becomes the corpus with its records and dropped list, chat rows, and the manifest."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.fs import make_dir, move_files, write_atomic
from picochat.core.hashing import digest_of
from picochat.core.jsonio import jsonl_bytes
from picochat.data.builtin import BUILTIN_PATHS
from picochat.data.config import DatasetConfig
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.conversations import encode_rows
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.sketch import resolve_engine
from picochat.data.holdout import HoldoutFacts, examine_holdout
from picochat.data.imports.manifest import MANIFEST as IMPORT_MANIFEST
from picochat.data.pack import LoadedPack, Split, load_pack
from picochat.data.split import TRAIN
from picochat.stages.contract import BYTES_A_PROCESS, StageContext
from picochat.stages.dataset.build import CorpusBuild, clean_pieces, require_documents, require_sides, write_corpus
from picochat.stages.dataset.chat import ChatSets, build_chat
from picochat.stages.dataset.contaminated import collect_sets, find_contaminated, find_nothing
from picochat.stages.dataset.describe import describe_dataset, warnings_of
from picochat.stages.dataset.imported import require_imports
from picochat.stages.dataset.join import CleanedPieces, Joined, join_pieces
from picochat.stages.dataset.piece_files import has_finished_pieces
from picochat.stages.dataset.piece_work import PiecePlan
from picochat.stages.dataset.sweep import sweep_train

STAGE = "dataset"
WORD_BYTES = 64_000_000
"""Train text that lends words to the generated skills: the beginning of the corpus."""
_OUTPUTS = {
    "corpus": layout.CORPUS,
    "corpus_documents": layout.CORPUS_DOCUMENTS,
    "corpus_dropped": layout.CORPUS_DROPPED,
    "canaries": layout.CANARIES,
    "chat_train": layout.CHAT_TRAIN,
    "chat_heldout": layout.CHAT_HELDOUT,
    "chat_eval": layout.CHAT_EVAL,
}


def run(ctx: StageContext, config: DatasetConfig, comparison: ContaminationConfig | None = None) -> None:
    """Builds the dataset of a run. On any error the run is as it was, and what is cleaned waits for a restart.

    `comparison` says how documents are held against evals and benchmarks where the pack drops what matches.

    Raises `usage.*`, `config.*`, `source.*`, `data.*`, `chat.*`, `eval.row`, `skills.*`, `benchmark.*`, `disk.*`,
    `workers.lost` or `run.stopped`.
    """
    record = ctx.record(STAGE, config)
    loaded = load_pack(config.pack)
    require_imports(loaded)
    split = _resolved_split(loaded, config)
    _record_inputs(record, loaded)
    with _work_folder(ctx.store.path(layout.DATASET_WORK)):
        plan = build_plan(ctx, loaded, config, split)
        done = clean_pieces(ctx, loaded, plan)
        require_documents(loaded.pack.sources, done, config.max_dropped)
        pieces = CleanedPieces(plan.folder, [piece.record for piece in done])
        joined, searched = _join(ctx, pieces, config, split)
        chat = build_chat(loaded, config.skills if config.generate_skills else None, split, word_texts(pieces, joined))
        if loaded.pack.contamination == "drop":
            sets = collect_sets(loaded, chat, record)
            contaminated = find_contaminated(ctx, pieces, joined, sets, comparison or ContaminationConfig())
        else:
            contaminated = find_nothing(pieces)
        build = CorpusBuild(pieces, joined, contaminated, loaded.pack.sources)
        finished = plan.folder / "finished"
        make_dir(finished)
        tally = write_corpus(ctx, loaded, config, done, build, split, _corpus_files(finished))
        require_sides(tally.documents, split, joined.smallest_key)
        tally.duplicates = searched
        if loaded.pack.canaries is not None:
            write_atomic(finished / layout.CANARIES, jsonl_bytes(tally.planted))
        facts = _examine(ctx, config, split, finished)
        warnings = warnings_of(loaded, tally, chat, facts)
        _write_chat(finished, chat)
        body = describe_dataset(loaded, split, tally, asdict(facts), chat, warnings)
        with _published(ctx.store, finished):
            for kind, name in _OUTPUTS.items():
                if kind != "canaries" or loaded.pack.canaries is not None:
                    record.add_output(kind, name)
            manifest = record.manifest(ctx.clock.monotonic())
            ctx.store.write_report(layout.CORPUS_MANIFEST, "corpus_manifest", body, manifest)
    shutil.rmtree(plan.folder, ignore_errors=True)
    for warning in warnings:
        ctx.events.emit("warning", STAGE, code="dataset", text=warning)


def _join(
    ctx: StageContext, pieces: CleanedPieces, config: DatasetConfig, split: Split
) -> tuple[Joined, dict[str, Any] | None]:
    """All documents with their twins and sides, and what the search for near ones did. Both sides have some."""
    joined = join_pieces(pieces, config.duplicates, split, ctx.watch("searching for duplicates"))
    require_sides(joined.count_sides(), split, joined.smallest_key)
    if joined.stats is None:
        return joined, None
    return joined, joined.stats | {"swept": sweep_train(ctx, pieces, joined, config.duplicates)}


def build_plan(ctx: StageContext, loaded: LoadedPack, config: DatasetConfig, split: Split) -> PiecePlan:
    """What all pieces have in common; pieces of an earlier attempt under another plan are not taken over."""
    engine = list(resolve_engine(config.duplicates)) if config.duplicates.near else None
    settings = [config.cleaning.as_dict(), config.duplicates.as_dict(), split.salt, engine]
    folder = ctx.store.path(layout.DATASET_WORK)
    make_dir(folder)
    return PiecePlan(
        sources=tuple(loaded.pack.sources),
        cleaning=config.cleaning,
        duplicates=config.duplicates,
        salt=split.salt,
        folder=folder,
        base=digest_of([settings, code_record().package_digest]),
    )


def word_texts(pieces: CleanedPieces, joined: Joined) -> Iterator[str]:
    """The first train documents, up to a number of bytes: a larger corpus lends no better words."""
    size = 0
    for number in joined.iter_kept(TRAIN):
        size += int(pieces.documents["length"][number])
        if size > WORD_BYTES:
            return
        yield pieces.text(number)


def _corpus_files(folder: Path) -> tuple[Path, Path, Path]:
    """Text, records and the list of what was dropped."""
    return folder / layout.CORPUS, folder / layout.CORPUS_DOCUMENTS, folder / layout.CORPUS_DROPPED


def _examine(ctx: StageContext, config: DatasetConfig, split: Split, finished: Path) -> HoldoutFacts:
    """The written corpus, read back. It is searched as the gate will search it, whatever was removed: who keeps near
    copies on both sides should hear of it now and not after the training."""
    text, records, _ = _corpus_files(finished)
    own = DuplicatesConfig()
    return examine_holdout(
        text,
        records,
        ctx.store.path(layout.DATASET_WORK) / "examined",
        duplicates=own.model_copy(update={"threshold": min(own.threshold, config.duplicates.threshold)}),
        split=split,
        processes=min(ctx.workers, max(1, text.stat().st_size // BYTES_A_PROCESS)),
        progress=ctx.watch("reading the corpus back"),
    )


@contextlib.contextmanager
def _work_folder(folder: Path) -> Iterator[None]:
    """Finished pieces outlive an error, for whoever mends the cause and runs the command again; nothing else does."""
    try:
        yield
    except BaseException:
        for name in ("finished", "before"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not has_finished_pieces(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _resolved_split(loaded: LoadedPack, config: DatasetConfig) -> Split:
    """The pack's split with the configuration's fraction in place of its own, if there is one."""
    split = loaded.pack.split
    return split if config.val_fraction is None else Split(val_fraction=config.val_fraction, salt=split.salt)


def _record_inputs(record: StageRecord, loaded: LoadedPack) -> None:
    """Single files are named with their digests; the content of a folder is covered by its source's digest."""
    if loaded.file is not None:
        record.add_input("pack", loaded.file)
    sources = [source for source in loaded.pack.sources if source.path not in BUILTIN_PATHS]
    paths = [("source", loaded.source_path(source)) for source in sources]
    paths += [("chat", loaded.resolve(file.path)) for file in loaded.pack.chat]
    paths += [("eval", loaded.resolve(file.path)) for file in loaded.pack.eval]
    for kind, path in paths:
        if path.is_file():
            record.add_input(kind, path)
        elif (manifest := path / IMPORT_MANIFEST).is_file():
            record.add_input("import_manifest", manifest)


@contextlib.contextmanager
def _published(store: RunStore, finished: Path) -> Iterator[None]:
    """The finished files stand where the run looks for them. When the block fails, those of before stand there again.

    A kill in between leaves files that no manifest names: the next attempt makes them again from the same pieces.
    """
    before = finished.parent / "before"
    make_dir(before / Path(layout.CHAT_TRAIN).parent)
    make_dir(store.path(layout.CHAT_TRAIN).parent)
    move_files(store.root, before, _OUTPUTS.values())
    move_files(finished, store.root, _OUTPUTS.values())
    try:
        yield
    except BaseException:
        move_files(store.root, finished, _OUTPUTS.values())
        move_files(before, store.root, _OUTPUTS.values())
        with contextlib.suppress(OSError):
            store.path(layout.CHAT_TRAIN).parent.rmdir()
        raise


def _write_chat(folder: Path, chat: ChatSets) -> None:
    make_dir(folder / Path(layout.CHAT_TRAIN).parent)
    write_atomic(folder / layout.CHAT_TRAIN, encode_rows(chat.train))
    write_atomic(folder / layout.CHAT_HELDOUT, encode_rows(chat.heldout))
    write_atomic(folder / layout.CHAT_EVAL, encode_rows(chat.eval))
