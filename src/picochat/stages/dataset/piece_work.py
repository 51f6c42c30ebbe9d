"""One piece from raw documents to cleaned and sketched ones. It depends on the piece and the plan alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from picochat.core.hashing import digest_of
from picochat.core.jsonio import canonical_json
from picochat.data.cleaning import CleaningConfig, clean
from picochat.data.corpus import FLAG_EMAIL, FLAG_SECRET
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.forms import comparison_form
from picochat.data.duplicates.sketch import Sketcher, build_sketcher
from picochat.data.pack import Source
from picochat.data.pieces import Piece
from picochat.data.sources import iter_piece
from picochat.data.split import document_key
from picochat.stages.dataset.piece_files import (
    PIECE_DOCUMENT,
    Dropped,
    PieceFiles,
    PieceRecord,
    PieceWriter,
    printable,
)

SKETCH_CHARS = 4_000_000
"""Text whose sketches are made together."""


@dataclass(frozen=True)
class PiecePlan:
    """What the work on every piece has in common. `base` is a digest of all that decides the bytes of a piece."""

    sources: tuple[Source, ...]
    cleaning: CleaningConfig
    duplicates: DuplicatesConfig
    salt: str
    folder: Path
    base: str

    def key(self, piece: Piece) -> str:
        """Files with their sizes and times, source, settings and code: what makes a finished piece worth keeping."""
        return digest_of([self.base, self.sources[piece.source].as_dict(), list(piece)])


def build_piece_worker(plan: PiecePlan) -> Callable[[Piece], PieceRecord]:
    """Makes the sketcher once, for as many pieces as a process is handed."""
    sketcher = build_sketcher(plan.duplicates) if plan.duplicates.near else None

    def work(piece: Piece) -> PieceRecord:
        files, key = PieceFiles(plan.folder, piece.number), plan.key(piece)
        return files.find(key) or PieceWork(plan, sketcher).run(piece, files, key)

    return work


@dataclass
class _Batch:
    """Comparison forms that wait for their sketches."""

    forms: list[str] = field(default_factory=list)
    chars: int = 0


class PieceWork:
    """The work on one piece. Texts go to disk as they are read, so its size does not matter."""

    def __init__(self, plan: PiecePlan, sketcher: Sketcher | None) -> None:
        self._plan, self._sketcher = plan, sketcher
        self._waiting = _Batch()

    def run(self, piece: Piece, files: PieceFiles, key: str) -> PieceRecord:
        """Reads, cleans, sketches, writes. Raises `source.*` or `disk.*`."""
        content, read, front_matter, dropped = hashlib.sha256(), 0, 0, Counter[str]()
        with files.writing() as out:
            for ordinal, raw in enumerate(iter_piece(self._plan.sources[piece.source], piece)):
                read += 1
                content.update(canonical_json([raw.name, raw.drop_reason]))
                content.update((raw.text or "").encode(errors="surrogatepass"))
                front_matter += bool(raw.metadata)
                reason = raw.drop_reason if raw.text is None else self._take(out, ordinal, raw.name, raw.text)
                if reason is not None:
                    dropped[reason.partition(":")[0]] += 1
                    out.drop(Dropped(ordinal, printable(raw.name), reason))
            self._sketch_waiting(out)
        record = PieceRecord(
            key=key,
            read=read,
            kept=out.kept,
            bytes=out.bytes,
            front_matter=front_matter,
            dropped=dict(dropped),
            content=content.hexdigest(),
            files=out.digests(),
        )
        files.finish(record)
        return record

    def _take(self, out: PieceWriter, ordinal: int, name: str, raw: str) -> str | None:
        """Keeps a document, or answers with the reason why not."""
        found = clean(raw, self._plan.cleaning)
        if found.reason is not None:
            return found.reason
        form, data = comparison_form(found.text), found.text.encode()
        document = np.zeros((), PIECE_DOCUMENT)
        document["ordinal"], document["chars"], document["length"] = ordinal, len(found.text), len(data)
        document["offset"] = out.bytes
        document["sha256"] = np.void(hashlib.sha256(data).digest())
        document["form"] = np.void(hashlib.sha256(form.encode()).digest())
        document["key"] = document_key(self._plan.salt, form)
        document["flags"] = FLAG_SECRET * found.has_secret | FLAG_EMAIL * found.has_email
        out.keep(data, document, printable(name))
        self._waiting.forms.append(form)
        self._waiting.chars += len(form)
        if self._waiting.chars >= SKETCH_CHARS:
            self._sketch_waiting(out)
        return None

    def _sketch_waiting(self, out: PieceWriter) -> None:
        if self._sketcher is not None and self._waiting.forms:
            out.sketch(self._sketcher.sketch(self._waiting.forms))
        self._waiting = _Batch()
