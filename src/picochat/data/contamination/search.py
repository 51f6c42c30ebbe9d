"""One search of the training texts: the corpus and the rows of fine-tuning, for everything that is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from picochat.core.workers import map_in_order
from picochat.data.contamination.compare import RowHit, TrainRows
from picochat.data.contamination.findings import ROWS, Findings
from picochat.data.contamination.items import text_of_row
from picochat.data.contamination.jobs import CORPUS, JOB_BYTES, Scanned, corpus_jobs, row_jobs, scanner_builder
from picochat.data.conversations import ChatRow, EvalRow
from picochat.data.corpus import CorpusReader

_BYTES_A_PROCESS = 8 * JOB_BYTES
"""Under so much text for each of them, more processes take longer to start than they save."""

Watch = Callable[[Iterable[Scanned], int], Iterable[Scanned]]


class TrainTexts(NamedTuple):
    """What was trained on: (corpus, records of its documents), the file of chat rows, and these rows."""

    corpus: tuple[Path, Path]
    chat: Path
    rows: Sequence[ChatRow]

    def reader(self) -> CorpusReader:
        return CorpusReader(*self.corpus)

    def count_bytes(self) -> int:
        """Bytes of the train side of the corpus and of the chat rows."""
        reader = self.reader()
        train = reader.indices("train", planted=False)
        return int(reader.documents["length"][train].sum()) + self.chat.stat().st_size


def compare_rows(rows: Iterable[ChatRow], heldout: Sequence[EvalRow]) -> list[RowHit]:
    """Held-out rows against the rows that are trained on, as rows."""
    known = TrainRows()
    for row in rows:
        known.add(row)
    return known.compare(heldout)


def search_texts(
    findings: Findings,
    texts: TrainTexts,
    processes: int,
    *,
    stop_reason: Callable[[], str] = lambda: "",
    watch: Watch = lambda pieces, size: pieces,
) -> Findings:
    """Takes all pieces of all training texts into `findings`, and returns it.

    `watch` sees each piece as it comes, and how many bytes there are in all. Raises `corpus.layout`, `workers.lost`,
    and `run.stopped` between two pieces.
    """
    jobs = chain(corpus_jobs(texts.reader()), row_jobs(ROWS, map(text_of_row, texts.rows)))
    size = texts.count_bytes()
    pieces = map_in_order(
        scanner_builder(findings.needles, texts.corpus),
        jobs,
        processes=max(1, min(processes, size // _BYTES_A_PROCESS)),
        stop_reason=stop_reason,
    )
    findings.take((CORPUS, ROWS), watch(pieces, size))
    return findings
