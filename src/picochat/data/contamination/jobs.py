"""A training text in pieces for worker processes: stretches of corpus documents, or of rows.

    CorpusJob   train documents of one source, read from the corpus; neighbours are read for what reaches over the edges
    RowsJob     rows that travel with the job, each a text by itself

The result of a document does not depend on where the pieces were cut: a match belongs to the document in which it
begins, and a piece reads as many words around its documents as a match can reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.block import Block
from picochat.data.contamination.documents import DocumentIndex, DocumentSpans, find_spans
from picochat.data.contamination.index import ContaminationIndex
from picochat.data.contamination.passages import Found, PassageCutter
from picochat.data.contamination.scan import scan_block
from picochat.data.contamination.words import comparison_bytes, word_edges
from picochat.data.corpus import CorpusReader

JOB_BYTES = 2 << 20
CORPUS = "corpus"


@dataclass(frozen=True)
class CorpusJob:
    """Train documents `first` to `last` (counted on the train side) of the source that goes from `low` to `high`."""

    first: int
    last: int
    low: int
    high: int


@dataclass(frozen=True)
class RowsJob:
    """Rows with their numbers from `first` on, of one training text, which `against` names."""

    against: str
    first: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Scanned:
    """What one piece holds: matches in order, spans of held-out documents, and how far the text was read."""

    against: str
    """The training text: `corpus`, or what its rows are called."""
    found: tuple[Found, ...]
    spans: tuple[DocumentSpans, ...]
    documents: int
    bytes: int
    last_document: int


Job = CorpusJob | RowsJob


@dataclass(frozen=True)
class Needles:
    """What is looked for: items, and held-out documents."""

    items: ContaminationIndex
    documents: DocumentIndex


def corpus_jobs(reader: CorpusReader, job_bytes: int = JOB_BYTES) -> Iterator[CorpusJob]:
    """The train side in pieces of about `job_bytes`; none of them spans two sources."""
    train = reader.indices("train", planted=False)
    sources, lengths = reader.documents["source"][train], reader.documents["length"][train].astype(np.int64)
    edges = [0, *(np.flatnonzero(sources[1:] != sources[:-1]) + 1).tolist(), len(train)]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        first, size = low, 0
        for place in range(low, high):
            size += int(lengths[place])
            if size >= job_bytes or place + 1 == high:
                yield CorpusJob(first, place + 1, low, high)
                first, size = place + 1, 0


def row_jobs(against: str, texts: Iterable[str], job_chars: int = JOB_BYTES) -> Iterator[RowsJob]:
    """Rows in pieces of about `job_chars`."""
    piece: list[str] = []
    first = size = 0
    for text in texts:
        piece.append(text)
        size += len(text)
        if size >= job_chars:
            yield RowsJob(against, first, tuple(piece))
            first, size, piece = first + len(piece), 0, []
    if piece:
        yield RowsJob(against, first, tuple(piece))


def build_scanner(needles: Needles, paths: tuple[Path, Path] | None) -> Callable[[Job], Scanned]:
    """The function that does a job; `paths` are those of the corpus and its records, when there are corpus jobs."""
    return Scanner(needles, CorpusReader(*paths) if paths else None).scan


def scanner_builder(needles: Needles, paths: tuple[Path, Path] | None) -> Callable[[], Callable[[Job], Scanned]]:
    """What `core.workers.map_in_order` calls once in every process."""
    return partial(build_scanner, needles, paths)


class Scanner:
    """Does jobs one after the other; what it has seen of held-out documents it does not report again."""

    def __init__(self, needles: Needles, reader: CorpusReader | None) -> None:
        self._needles, self._reader = needles, reader
        self._train = reader.indices("train", planted=False) if reader else np.empty(0, np.int64)
        self._seen: dict[str, list[NDArray[np.bool_]]] = {}

    def scan(self, job: Job) -> Scanned:
        """The matches that begin in the job's documents, and the spans that stand in them."""
        if isinstance(job, RowsJob):
            documents = [text.encode(errors="replace") for text in job.texts]
            block = Block(documents, range(job.first, job.first + len(documents)))
            return self._scan(block, job.against)
        return self._scan(self._read(job), CORPUS)

    def _scan(self, block: Block, against: str) -> Scanned:
        needles = self._needles
        cutter = PassageCutter(block, needles.items.config.passage_chars)
        counts: Counter[int] = Counter()
        found = []
        for match in scan_block(needles.items, block):
            item = int(needles.items.fields.item[match.field])
            counts[item] += 1
            # A match over a joint may be taken back for one inside a document, so it takes no place of the stored ones.
            stored = counts[item] <= needles.items.config.hits_per_item or match.split
            counts[item] -= match.split
            found.append(cutter.found(match, stored=stored))
        seen = self._seen.setdefault(against, needles.documents.new_flags())
        spans = tuple(find_spans(needles.documents, block, seen))
        core = range(*block.core)
        size = sum(len(block.documents[place]) for place in core)
        return Scanned(against, tuple(found), spans, len(core), size, block.numbers[core[-1]])

    def _read(self, job: CorpusJob) -> Block:
        reach = self._needles.items.reach
        before = self._neighbours(range(job.first - 1, job.low - 1, -1), reach)[::-1]
        after = self._neighbours(range(job.last, job.high), reach)
        core = list(range(job.first, job.last))
        numbers = self._train[[*before, *core, *after]].tolist()
        documents = [self._bytes_of(number) for number in numbers]
        return Block(documents, numbers, joined=True, core=(len(before), len(before) + len(core)))

    def _neighbours(self, places: Sequence[int], words: int) -> list[int]:
        """As many documents as are needed for so many words."""
        taken = []
        for place in places:
            if words <= 0:
                break
            taken.append(place)
            data = comparison_bytes(self._bytes_of(int(self._train[place])))
            words -= len(word_edges(np.frombuffer(data, np.uint8))[0])
        return taken

    def _bytes_of(self, number: int) -> bytes:
        """The document's bytes, or a refusal (`corpus.layout`) when they are not UTF-8."""
        assert self._reader is not None
        data = self._reader.data(number)
        return data if data.isascii() else self._reader.text(number).encode()
