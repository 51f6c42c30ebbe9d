"""What is left of a piece when it is cleaned: texts, records and sketches of the kept documents, and why others went.

    plan.jsonl      the pieces themselves, listed before any of them is read
    NNNNNN.txt      the texts in normal form, UTF-8, one after another
    NNNNNN.bin      one `PIECE_DOCUMENT` a text
    NNNNNN.sketch   one `sketch_dtype` a text
    NNNNNN.names    one JSON string a line: the name of each kept document
    NNNNNN.drops    one JSON object a line: {ordinal, name, reason}
    NNNNNN.json     counts, the key of the piece and the digests of its files, written last: a piece without it was
                    never finished, and one whose files are other ones is done again

All of it is working state: it is removed once the corpus stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from picochat.artifacts.schema import Record
from picochat.core.errors import PicochatError
from picochat.core.fs import HashingWriter, atomic_writer, write_json
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import canonical_json, iter_jsonl, read_json
from picochat.data.corpus import BLOCK_DOCUMENTS
from picochat.data.duplicates.config import PERMUTATIONS
from picochat.data.duplicates.sketch import Sketches
from picochat.data.pieces import Piece, PieceFile

PIECE_DOCUMENT = np.dtype(
    [
        ("ordinal", "<u4"),
        ("chars", "<u4"),
        ("offset", "<u8"),
        ("length", "<u8"),
        ("sha256", "V32"),
        ("form", "V32"),
        ("key", "<f8"),
        ("flags", "u1"),
        ("spare", "V7"),
    ]
)
"""`ordinal` is the place among all that the piece offered, `offset` that of the text among the piece's texts; `form` is
the sha256 of the comparison form; `key` decides the side."""


SUFFIXES = (".txt", ".bin", ".sketch", ".names", ".drops")


class FrozenPlan:
    """The pieces of a pack as they were found, on disk: a file that goes while others are read is missed by name."""

    def __init__(self, folder: Path, pieces: Iterable[Piece]) -> None:
        """Lists all pieces at once. Raises what the listing raises, or `disk.*`."""
        self._path = folder / "plan.jsonl"
        self.count = self.bytes = 0
        with atomic_writer(self._path) as out:
            for piece in pieces:
                out.write(canonical_json(list(piece)) + b"\n")
                self.count, self.bytes = self.count + 1, self.bytes + piece.bytes

    def __iter__(self) -> Iterator[Piece]:
        for number, source, files, *cut in iter_jsonl(self._path):
            yield Piece(number, source, tuple(PieceFile(*file) for file in files), *cut)


class PieceRecord(Record):
    """What became of a piece. `content` is a digest over everything that was read, in order; `files` by suffix."""

    key: str
    read: int
    kept: int
    bytes: int
    front_matter: int
    dropped: dict[str, int]
    content: str
    files: dict[str, str]


class Dropped(NamedTuple):
    """A document that was not taken."""

    ordinal: int
    name: str
    reason: str


class PieceWriter:
    """The five files of a piece while they are written: nothing of a piece waits in memory for the end of it."""

    def __init__(self, writers: dict[str, HashingWriter]) -> None:
        self._writers = writers
        self.kept = 0

    @property
    def bytes(self) -> int:
        """Of the texts so far."""
        return self._writers[".txt"].bytes

    def keep(self, text: bytes, document: np.ndarray, name: str) -> None:
        """Adds a document; its sketch is added later, in the same order."""
        self._writers[".txt"].write(text)
        self._writers[".bin"].write(document.tobytes())
        self._writers[".names"].write(canonical_json(name) + b"\n")
        self.kept += 1

    def sketch(self, sketches: Sketches) -> None:
        """The sketches of the next documents."""
        rows = np.empty(len(sketches.takes_part), sketch_dtype(sketches.bands.shape[1]))
        rows["bands"], rows["signature"] = sketches.bands, sketches.signature
        rows["takes_part"] = sketches.takes_part
        self._writers[".sketch"].write(rows.tobytes())

    def drop(self, dropped: Dropped) -> None:
        self._writers[".drops"].write(canonical_json(list(dropped)) + b"\n")

    def digests(self) -> dict[str, str]:
        return {suffix: writer.sha256 for suffix, writer in self._writers.items()}


class PieceFiles:
    """The files of one piece below the folder of all."""

    def __init__(self, folder: Path, number: int) -> None:
        self._stem = folder / f"{number:06d}"

    def find(self, key: str) -> PieceRecord | None:
        """The record of a finished piece whose files are the recorded ones; None where any of it is not so."""
        path = self._path(".json")
        try:
            record = PieceRecord.from_json(read_json(path), str(path))
            if record.key != key or set(record.files) != set(SUFFIXES):
                return None
            same = all(sha256_file(self._path(suffix)) == digest for suffix, digest in record.files.items())
        except (PicochatError, OSError):
            return None
        return record if same else None

    @contextlib.contextmanager
    def writing(self) -> Iterator[PieceWriter]:
        """Files that take the place of older ones when the block ends without an error. Raises `disk.*`."""
        self._path(".json").unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            yield PieceWriter({suffix: stack.enter_context(atomic_writer(self._path(suffix))) for suffix in SUFFIXES})

    def finish(self, record: PieceRecord) -> None:
        """Makes the piece a finished one. Raises `disk.full` or `disk.io`."""
        write_json(self._path(".json"), record.to_json())

    def iter_documents(self, kept: int) -> Iterator[np.ndarray]:
        """The records of its documents, some at a time."""
        return _iter_rows(self._path(".bin"), PIECE_DOCUMENT, kept)

    def iter_sketches(self, kept: int, bands: int) -> Iterator[Sketches]:
        """The sketches of its documents, some at a time."""
        for rows in _iter_rows(self._path(".sketch"), sketch_dtype(bands), kept):
            yield Sketches(rows["bands"], rows["signature"], rows["takes_part"].astype(np.bool_))

    def text_path(self) -> Path:
        return self._path(".txt")

    def iter_names(self) -> Iterator[str]:
        return iter_jsonl(self._path(".names"))

    def iter_drops(self) -> Iterator[Dropped]:
        return (Dropped(*row) for row in iter_jsonl(self._path(".drops")))

    def _path(self, suffix: str) -> Path:
        return self._stem.with_suffix(suffix)


def sketch_dtype(bands: int) -> np.dtype:
    """The sketch of one document as it lies in a piece, 385 bytes with 32 bands."""
    return np.dtype([("bands", "<u8", (bands,)), ("signature", "u1", (PERMUTATIONS,)), ("takes_part", "u1")])


def _iter_rows(path: Path, dtype: np.dtype, count: int) -> Iterator[np.ndarray]:
    for first in range(0, count, BLOCK_DOCUMENTS):
        rows = np.fromfile(path, dtype, min(BLOCK_DOCUMENTS, count - first), offset=first * dtype.itemsize)
        yield rows


def printable(name: str) -> str:
    """A name that JSON can hold: a file's name need not be UTF-8."""
    return name.encode(errors="replace").decode()


def has_finished_pieces(folder: Path) -> bool:
    """Whether a restart could take something over."""
    return any(folder.glob("[0-9]*.json"))
