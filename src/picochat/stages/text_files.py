"""Where corpus and tokenizer of a stage lie, hashed before use: the run's own files, or others. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.core.log import LOGGER
from picochat.data.corpus import CorpusReader
from picochat.data.mixture import Share, name_shares, read_shares
from picochat.stages.text_source import TextSource
from picochat.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TextFiles:
    """Corpus and tokenizer by path. `documents` is None for a bare text whose documents are guessed."""

    corpus: Path
    documents: Path | None
    tokenizer: Path
    fast: bool
    """Whether the run's proof of the fast encoder held."""
    shares: tuple[Share, ...]
    """By number of the source in the records; empty: one source of weight 1 for each number."""
    digests: dict[str, str]
    baselines: dict[str, Any] | None
    """N-gram tables of the tokenizer report; None when there is no report."""

    def open_corpus(self) -> CorpusReader:
        assert self.documents is not None
        return CorpusReader(self.corpus, self.documents)

    def open_tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.tokenizer, fast=self.fast)

    def shares_of(self, reader: CorpusReader) -> tuple[Share, ...]:
        """A share for every source number of the records; sources that nobody named have weight 1."""
        return name_shares(reader, self.shares)


def open_text_files(store: RunStore, record: StageRecord, source: TextSource) -> TextFiles:
    """Hashes corpus and tokenizer and adds them to the inputs of `record`.

    Raises `artifact.*` when a file is missing or is not the recorded one.
    """
    if source.corpus is None or source.tokenizer is None:
        return _open_own(store, record)
    return _open_external(record, Path(source.corpus), Path(source.tokenizer))


def _open_own(store: RunStore, record: StageRecord) -> TextFiles:
    manifest = store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    report = store.require_outputs(layout.TOKENIZER_REPORT, "tokenizer_report")
    kinds = {
        "corpus": layout.CORPUS,
        "corpus_documents": layout.CORPUS_DOCUMENTS,
        "corpus_manifest": layout.CORPUS_MANIFEST,
        "tokenizer": layout.TOKENIZER,
        "tokenizer_report": layout.TOKENIZER_REPORT,
    }
    refs = {kind: record.add_input(kind, path) for kind, path in kinds.items()}
    return TextFiles(
        store.path(layout.CORPUS),
        store.path(layout.CORPUS_DOCUMENTS),
        store.path(layout.TOKENIZER),
        report["fast_path"]["equal"],
        read_shares(manifest),
        {kind: refs[kind].sha256 for kind in ("corpus", "corpus_documents", "tokenizer")},
        report["baselines"],
    )


def _open_external(record: StageRecord, corpus: Path, tokenizer: Path) -> TextFiles:
    """Files of another run or of nobody: referenced by path and digest, never copied."""
    refs = {"corpus": record.add_input("corpus", corpus), "tokenizer": record.add_input("tokenizer", tokenizer)}
    records, manifest = corpus.with_name(layout.CORPUS_DOCUMENTS), corpus.with_name(layout.CORPUS_MANIFEST)
    shares: tuple[Share, ...] = ()
    if records.is_file():
        refs["corpus_documents"] = record.add_input("corpus_documents", records)
        if manifest.is_file():
            refs["corpus_manifest"] = record.add_input("corpus_manifest", manifest)
            shares = read_shares(read_json(manifest))
    digests = {kind: ref.sha256 for kind, ref in refs.items()}
    baselines = _read_baselines(record, tokenizer, digests) if records.is_file() else None
    return TextFiles(corpus, records if records.is_file() else None, tokenizer, True, shares, digests, baselines)


def _read_baselines(record: StageRecord, tokenizer: Path, digests: dict[str, str]) -> dict[str, Any] | None:
    """Of the report beside a tokenizer, where it names exactly this tokenizer, made from exactly this corpus."""
    path = tokenizer.with_name(layout.TOKENIZER_REPORT)
    if not path.is_file():
        return None
    store = RunStore(path.parent)
    try:
        report = store.read_report(path.name, "tokenizer_report")
        manifest = Manifest.from_json(report["manifest"], str(path))
    except PicochatError as err:
        LOGGER.warning("%s is passed over, the baselines are measured again: %s", path, err.detail)
        return None
    named = {ref.sha256 for ref in (*manifest.inputs, *manifest.outputs)}
    if not {digests[kind] for kind in ("corpus", "corpus_documents", "tokenizer")} <= named:
        return None
    record.add_input("tokenizer_report", path)
    return report["baselines"]
