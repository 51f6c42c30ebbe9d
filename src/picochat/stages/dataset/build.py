"""From raw documents to the corpus: clean, remove duplicates, choose the side, write; and count every document once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.core.fs import HashingWriter, atomic_writer
from picochat.core.jsonio import canonical_json
from picochat.core.progress import Progress
from picochat.data.cleaning import clean
from picochat.data.config import DatasetConfig
from picochat.data.corpus import FLAG_SECRET, CorpusReader, CorpusWriter, Document, corpus_writer
from picochat.data.duplicates import ExactDuplicates, cluster_of, comparison_form
from picochat.data.pack import LoadedPack, Source, Split
from picochat.data.sources import RawDocument, iter_source
from picochat.data.split import TRAIN, VAL, document_key, split_of

SAMPLES_A_REASON = 20
EXACT_DUPLICATE = "exact_duplicate"
_PROGRESS_EVERY = 500


@dataclass
class SourceTally:
    """What became of the documents of one source."""

    read: int = 0
    kept: int = 0
    front_matter: int = 0
    secrets: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    content: Any = field(default_factory=hashlib.sha256)
    """Digest over everything read, in order."""

    def describe(self) -> str:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.most_common())
        return f"kept {self.kept:,} of {self.read:,} documents" + (f" (dropped: {reasons})" if reasons else "")


@dataclass
class CorpusTally:
    """What became of all documents."""

    sources: dict[str, SourceTally] = field(default_factory=dict)
    samples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    documents: list[int] = field(default_factory=lambda: [0, 0])
    """Kept documents a side: train, val."""
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    """Bytes of the kept texts a side, without the newline after each."""
    chars: int = 0
    smallest_key: float = 1.0

    @property
    def dropped(self) -> Counter[str]:
        return sum((tally.dropped for tally in self.sources.values()), Counter())


class CorpusBuild:
    """One pass over a pack. `corpus` and `dropped` take what is kept and what is not."""

    def __init__(self, config: DatasetConfig, split: Split, corpus: CorpusWriter, dropped: HashingWriter) -> None:
        self._config = config
        self._split = split
        self._corpus = corpus
        self._dropped = dropped
        self._duplicates = ExactDuplicates()
        self.tally = CorpusTally()

    def add_source(
        self, number: int, source: Source, documents: Iterator[RawDocument], progress: Progress, total: int
    ) -> None:
        """Takes all documents of a source. Raises `source.empty` or `source.dropped`."""
        tally = self.tally.sources.setdefault(source.id, SourceTally())
        for raw in documents:
            if tally.read % _PROGRESS_EVERY == 0:
                progress.update(number, total, f"{source.id}: {tally.read:,} documents")
            tally.read += 1
            tally.front_matter += bool(raw.metadata)
            tally.content.update(
                canonical_json([raw.name, raw.drop_reason]) + (raw.text or "").encode(errors="surrogatepass")
            )
            reason = raw.drop_reason if raw.text is None else self._take(number, raw.text, tally)
            if reason is not None:
                self._drop(raw, reason, tally)
        self._require_enough(source, tally)

    def _take(self, number: int, raw_text: str, tally: SourceTally) -> str | None:
        """Keeps a document, or answers with the reason why not."""
        text, reason, has_secret = clean(raw_text, self._config.cleaning)
        if reason is not None:
            return reason
        form = comparison_form(text)
        if not self._duplicates.is_first(form):
            return EXACT_DUPLICATE
        key = document_key(self._split.salt, form)
        side = split_of(key, self._split.val_fraction)
        flags = FLAG_SECRET if has_secret else 0
        n_bytes = self._corpus.add(Document(text, number, side, cluster_of(form), flags))
        tally.kept += 1
        tally.secrets += has_secret
        self.tally.documents[side] += 1
        self.tally.bytes[side] += n_bytes
        self.tally.chars += len(text)
        self.tally.smallest_key = min(self.tally.smallest_key, key)
        return None

    def _drop(self, raw: RawDocument, reason: str, tally: SourceTally) -> None:
        row = {"source": raw.source_id, "name": raw.name.encode(errors="replace").decode(), "reason": reason}
        code = reason.partition(":")[0]
        tally.dropped[code] += 1
        samples = self.tally.samples.setdefault(code, [])
        if len(samples) < SAMPLES_A_REASON:
            samples.append({"source": row["source"], "name": row["name"]})
        self._dropped.write(canonical_json(row) + b"\n")

    def _require_enough(self, source: Source, tally: SourceTally) -> None:
        if tally.kept == 0:
            refuse("source.empty", f"source {source.id!r} ({source.path}) {tally.describe()}")
        lost = 1 - tally.kept / tally.read
        if lost > self._config.max_dropped:
            refuse(
                "source.dropped",
                f"source {source.id!r} lost {lost:.1%}, limit {self._config.max_dropped:.1%}: {tally.describe()}",
            )

    def require_sides(self) -> None:
        """Raises `data.no_val` or `data.no_train`."""
        train, val = self.tally.documents
        fraction = self._split.val_fraction
        if val == 0:
            enough = min(0.5, self.tally.smallest_key * 1.01 + 0.001)
            refuse(
                "data.no_val",
                f"0 of {train:,} documents are held out at val_fraction = {fraction:g}",
                fix=f"raise it: --set data.val_fraction={enough:.3f} holds out one document, or add documents",
            )
        if train == 0:
            refuse("data.no_train", f"all {val:,} documents are held out at val_fraction = {fraction:g}")


def build_corpus(
    loaded: LoadedPack, config: DatasetConfig, split: Split, paths: tuple[Path, Path, Path], progress: Progress
) -> CorpusTally:
    """Writes the text, the records and the dropped list, each whole, and none when the pack is unusable."""
    text_path, records_path, dropped_path = paths
    with atomic_writer(dropped_path) as dropped, corpus_writer(text_path, records_path) as corpus:
        build = CorpusBuild(config, split, corpus, dropped)
        sources = loaded.pack.sources
        for number, source in enumerate(sources):
            build.add_source(number, source, iter_source(loaded, source), progress, len(sources))
        build.require_sides()
        progress.update(len(sources), len(sources), f"{corpus.n_documents:,} documents")
    return build.tally


def recompute_checks(reader: CorpusReader, split: Split) -> dict[str, int]:
    """What the written files say by themselves: texts on both sides, on the wrong side, twice, or not as recorded."""
    sides: dict[str, set[int]] = {}
    counts = {"split_leak": 0, "misplaced": 0, "exact_left": 0, "digest_mismatch": 0}
    for index, record in enumerate(reader.documents):
        form = comparison_form(reader.text(index))
        side = int(record["split"])
        counts["exact_left"] += form in sides
        counts["misplaced"] += side != split_of(document_key(split.salt, form), split.val_fraction)
        counts["digest_mismatch"] += hashlib.sha256(reader.data(index)).digest() != record["sha256"].tobytes()
        sides.setdefault(form, set()).add(side)
    counts["split_leak"] = sum(both >= {TRAIN, VAL} for both in sides.values())
    return counts
