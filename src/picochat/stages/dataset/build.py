"""From a pack to the corpus: pieces cleaned by several processes, joined, and written; every document counted once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from picochat.core.disk_arrays import open_array
from picochat.core.errors import refuse
from picochat.core.failpoints import failpoint
from picochat.core.fs import HashingWriter, atomic_writer
from picochat.core.jsonio import canonical_json
from picochat.core.progress import Pace
from picochat.data.config import DatasetConfig
from picochat.data.corpus import BLOCK_DOCUMENTS, FLAG_EMAIL, FLAG_SECRET, CorpusWriter, corpus_writer
from picochat.data.pack import LoadedPack, Source, Split
from picochat.data.pieces import iter_pieces
from picochat.stages.contract import StageContext
from picochat.stages.dataset.contaminated import Contaminated
from picochat.stages.dataset.join import CleanedPieces, Joined, content_digest
from picochat.stages.dataset.piece_files import Dropped, FrozenPlan, PieceRecord
from picochat.stages.dataset.piece_work import PiecePlan, build_piece_worker
from picochat.stages.dataset.planted import plant

STAGE = "dataset"
SAMPLES_A_REASON = 20
EXACT_DUPLICATE, NEAR_DUPLICATE, CONTAMINATED = "exact_duplicate", "near_duplicate", "contaminated"
DUPLICATE_OF_DROPPED = "duplicate_of_dropped"
"""Of a document that was itself dropped later, as contaminated or too close to the hold-out: what it says is lost."""
_PROGRESS_EVERY = 2000


class Finished(NamedTuple):
    """A cleaned piece: the number of its source, and what became of it."""

    source: int
    record: PieceRecord


@dataclass
class SourceTally:
    """What became of the documents of one source."""

    read: int = 0
    kept: int = 0
    train_bytes: int = 0
    front_matter: int = 0
    secrets: int = 0
    emails: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    content: str = ""
    """Digest over everything read, in order."""

    def describe(self) -> str:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.most_common())
        return f"kept {self.kept:,} of {self.read:,} documents" + (f" (dropped: {reasons})" if reasons else "")


@dataclass
class CorpusTally:
    """What became of all documents."""

    sources: dict[str, SourceTally] = field(default_factory=dict)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    documents: list[int] = field(default_factory=lambda: [0, 0])
    """Kept documents a side: train, val."""
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    """Bytes of the kept texts a side, without the newline after each."""
    chars: int = 0
    duplicates: dict[str, Any] | None = None
    """What the search for near duplicates did."""
    planted: list[dict[str, Any]] = field(default_factory=list)
    """The canaries, which no other count contains."""

    @property
    def dropped(self) -> Counter[str]:
        return sum((tally.dropped for tally in self.sources.values()), Counter())


def clean_pieces(ctx: StageContext, loaded: LoadedPack, plan: PiecePlan) -> list[Finished]:
    """The source and record of every piece, in order; pieces that an earlier attempt finished are taken over.

    Raises `source.*`, `disk.*`, `workers.lost` or `run.stopped`.
    """
    frozen = FrozenPlan(plan.folder, iter_pieces(loaded))
    pace, done = Pace(ctx.clock, frozen.bytes), []
    results = ctx.map_many(partial(build_piece_worker, plan), frozen, frozen.count, frozen.bytes)
    for piece, record in zip(frozen, results, strict=True):
        failpoint("data.after_piece")
        done.append(Finished(piece.source, record))
        pace.add(piece.bytes)
        ctx.progress.update(pace.done, pace.total, pace.tell(f"cleaning {loaded.pack.sources[piece.source].id}"))
    return done


def tally_sources(sources: Sequence[Source], done: Sequence[Finished]) -> CorpusTally:
    """What the pieces say; what becomes of the cleaned documents is counted as they are written."""
    tally = CorpusTally()
    for place, source in enumerate(sources):
        records = [piece.record for piece in done if piece.source == place]
        tally.sources[source.id] = SourceTally(
            read=sum(record.read for record in records),
            front_matter=sum(record.front_matter for record in records),
            content=content_digest(records),
        )
    return tally


class CorpusBuild:
    """Writes the corpus and the list of what was dropped, in the order in which documents were read."""

    def __init__(
        self, pieces: CleanedPieces, joined: Joined, contaminated: Contaminated, sources: Sequence[Source]
    ) -> None:
        self._pieces, self._joined, self._contaminated, self._sources = pieces, joined, contaminated, sources
        self._numbers = open_array(pieces.folder / "join" / "numbers.i64", np.int64, (len(pieces),), create=True)
        """The number in the corpus of each document that stays, -1 of the others."""
        count = 0
        for first in range(0, len(pieces), BLOCK_DOCUMENTS):
            last = min(len(pieces), first + BLOCK_DOCUMENTS)
            stays = joined.kept(first, last) & contaminated.stays(first, last)
            self._numbers[first:last] = np.where(stays, count + np.cumsum(stays) - 1, -1)
            count += int(stays.sum())

    def write(
        self,
        done: Sequence[Finished],
        tally: CorpusTally,
        corpus: CorpusWriter,
        dropped: HashingWriter,
        progress: Callable[[float, float], None],
    ) -> None:
        """Raises `disk.*`, or `artifact.changed` when a piece is not what was written."""
        for place, piece in enumerate(done):
            source = self._sources[piece.source]
            counts = tally.sources[source.id]
            for drop in self._iter_piece(place, piece.source, counts, tally, corpus):
                self._drop(source, drop, counts, tally, dropped)
            progress(corpus.n_documents, len(self._pieces))

    def _iter_piece(
        self, place: int, source: int, counts: SourceTally, tally: CorpusTally, corpus: CorpusWriter
    ) -> Iterator[tuple[Dropped, dict[str, Any]]]:
        """Writes what stays of a piece and yields what does not, both in the order in which it was read."""
        files = self._pieces.files(place)
        drops = files.iter_drops()
        waiting = next(drops, None)
        first, last = (int(number) for number in self._pieces.firsts[place : place + 2])
        for number, name in zip(range(first, last), files.iter_names(), strict=True):
            ordinal = int(self._pieces.documents["ordinal"][number])
            while waiting is not None and waiting.ordinal < ordinal:
                yield waiting, {}
                waiting = next(drops, None)
            reason, more = self._reason(number)
            if reason is None:
                self._keep(number, source, counts, tally, corpus)
            else:
                yield Dropped(ordinal, name, reason), more
        while waiting is not None:
            yield waiting, {}
            waiting = next(drops, None)

    def _reason(self, number: int) -> tuple[str | None, dict[str, Any]]:
        """Why a cleaned document does not stay, and the document of the corpus that stays in its place."""
        for reason, twins in ((EXACT_DUPLICATE, self._joined.exact), (NEAR_DUPLICATE, self._joined.near)):
            if (twin := int(twins[number])) >= 0:
                place = int(self._numbers[twin])
                return (reason, {"document": place}) if place >= 0 else (DUPLICATE_OF_DROPPED, {})
        if not self._contaminated.stays(number, number + 1)[0]:
            return CONTAMINATED, self._contaminated.describe(number)
        return None, {}

    def _keep(self, number: int, source: int, counts: SourceTally, tally: CorpusTally, corpus: CorpusWriter) -> None:
        document, data = self._pieces.documents[number], self._pieces.data(number)
        digest, flags, side = document["sha256"].tobytes(), int(document["flags"]), int(self._joined.split[number])
        if hashlib.sha256(data).digest() != digest:
            refuse("artifact.changed", f"document {number:,} of the cleaned pieces is not what was written")
        corpus.add_bytes(data, digest, source, side, int(self._joined.cluster[number]), flags)
        counts.kept += 1
        counts.train_bytes += len(data) if side == 0 else 0
        counts.secrets += bool(flags & FLAG_SECRET)
        counts.emails += bool(flags & FLAG_EMAIL)
        tally.documents[side] += 1
        tally.bytes[side] += len(data)
        tally.chars += int(document["chars"])

    def _drop(
        self,
        source: Source,
        found: tuple[Dropped, dict[str, Any]],
        counts: SourceTally,
        tally: CorpusTally,
        dropped: HashingWriter,
    ) -> None:
        drop, more = found
        code = drop.reason.partition(":")[0]
        counts.dropped[code] += 1
        samples = tally.samples.setdefault(code, [])
        if len(samples) < SAMPLES_A_REASON:
            samples.append({"source": source.id, "name": drop.name} | more)
        dropped.write(canonical_json({"source": source.id, "name": drop.name, "reason": drop.reason} | more) + b"\n")


def write_corpus(
    ctx: StageContext,
    loaded: LoadedPack,
    config: DatasetConfig,
    done: Sequence[Finished],
    build: CorpusBuild,
    split: Split,
    paths: tuple[Path, Path, Path],
) -> CorpusTally:
    """Writes the text, the records and the dropped list, each whole, and none when a source lost too much."""
    tally = tally_sources(loaded.pack.sources, done)
    text_path, records_path, dropped_path = paths
    with atomic_writer(dropped_path) as dropped, corpus_writer(text_path, records_path) as corpus:
        build.write(done, tally, corpus, dropped, ctx.watch("writing the corpus"))
        for source in loaded.pack.sources:
            counts = tally.sources[source.id]
            require_enough(source, counts, config.max_dropped)
            if counts.kept + counts.dropped.total() != counts.read:
                refuse(
                    "data.unbalanced", f"source {source.id!r} had {counts.read:,} documents, and {counts.describe()}"
                )
        tally.planted = plant(corpus, loaded.pack, split)
    return tally


def require_enough(source: Source, tally: SourceTally, max_dropped: float) -> None:
    """Raises `source.empty` or `source.dropped`. Duplicates are no loss: what they say is there once."""
    if tally.kept == 0:
        refuse("source.empty", f"source {source.id!r} ({source.place}) {tally.describe()}")
    repeated = tally.dropped[EXACT_DUPLICATE] + tally.dropped[NEAR_DUPLICATE]
    lost = 1 - (tally.kept + repeated) / tally.read
    if lost > max_dropped:
        refuse(
            "source.dropped",
            f"source {source.id!r} lost {lost:.1%}, limit {max_dropped:.1%}: {tally.describe()}",
        )


def require_documents(sources: Sequence[Source], done: Sequence[Finished], max_dropped: float) -> None:
    """Raises `source.empty` or `source.dropped` for what cleaning left, before anything is made from it."""
    tally = tally_sources(sources, done)
    for piece in done:
        counts = tally.sources[sources[piece.source].id]
        counts.kept += piece.record.kept
        counts.dropped.update(piece.record.dropped)
    for source in sources:
        require_enough(source, tally.sources[source.id], max_dropped)


def require_sides(documents: Sequence[int], split: Split, smallest_key: float) -> None:
    """Raises `data.no_val` or `data.no_train`. `documents` are those of the train and of the held-out side."""
    train, val = documents
    fraction = split.val_fraction
    if val == 0:
        enough = min(0.5, smallest_key * 1.01 + 0.001)
        refuse(
            "data.no_val",
            f"0 of {train:,} documents are held out at val_fraction = {fraction:g}",
            fix=f"raise it: --set data.val_fraction={enough:.3f} holds out one document, or add documents",
        )
    if train == 0:
        refuse("data.no_train", f"all {val:,} documents are held out at val_fraction = {fraction:g}")
