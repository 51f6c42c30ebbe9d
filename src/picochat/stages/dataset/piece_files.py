"""What is left of a piece when it is cleaned: texts, records and sketches of the kept documents, and why others went.

    plan.jsonl      the pieces themselves, listed before any of them is read
    NNNNNN.txt      the texts in normal form, UTF-8, one after another
    NNNNNN.bin      one `PIECE_DOCUMENT` a text
    NNNNNN.sketch   bands (n, 32) u64, signatures (n, 128) u8, takes part (n,) u8
    NNNNNN.names    one JSON string a line: the name of each kept document
    NNNNNN.drops    one JSON object a line: {ordinal, name, reason}
    NNNNNN.json     counts and the key of the piece, written last: a piece without it was never finished

All of it is working state: it is removed once the corpus stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from picochat.artifacts.schema import Record
from picochat.core.errors import PicochatError
from picochat.core.fs import atomic_writer, write_atomic, write_json
from picochat.core.jsonio import canonical_json, iter_jsonl, read_json
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
        for number, source, files, begin, end in iter_jsonl(self._path):
            yield Piece(number, source, tuple(PieceFile(*file) for file in files), begin, end)


class PieceRecord(Record):
    """What became of a piece. `content` is a digest over everything that was read, in order."""

    key: str
    read: int
    kept: int
    bytes: int
    front_matter: int
    dropped: dict[str, int]
    content: str


class Dropped(NamedTuple):
    """A document that was not taken."""

    ordinal: int
    name: str
    reason: str


class PieceFiles:
    """The files of one piece below the folder of all."""

    def __init__(self, folder: Path, number: int) -> None:
        self._stem = folder / f"{number:06d}"

    def find(self, key: str) -> PieceRecord | None:
        """The record of a finished piece; None when there is none, or it was made from or with something else."""
        path = self._path(".json")
        try:
            record = PieceRecord.from_json(read_json(path), str(path))
        except PicochatError:
            return None
        return record if record.key == key else None

    def write(
        self, record: PieceRecord, text: bytes, documents: np.ndarray, sketches: Sketches, names: list[str],
        drops: list[Dropped],
    ) -> None:  # fmt: skip
        """Writes all files, the record last. Raises `disk.full` or `disk.io`."""
        self._path(".json").unlink(missing_ok=True)
        write_atomic(self._path(".txt"), text)
        write_atomic(self._path(".bin"), documents.tobytes())
        sketch = (sketches.bands.astype("<u8"), sketches.signature, sketches.takes_part.astype(np.uint8))
        write_atomic(self._path(".sketch"), b"".join(np.ascontiguousarray(part).tobytes() for part in sketch))
        write_atomic(self._path(".names"), b"".join(canonical_json(name) + b"\n" for name in names))
        write_atomic(self._path(".drops"), b"".join(canonical_json(list(drop)) + b"\n" for drop in drops))
        write_json(self._path(".json"), record.to_json())

    def documents(self) -> np.ndarray:
        return np.fromfile(self._path(".bin"), PIECE_DOCUMENT)

    def sketches(self, n: int, bands: int) -> Sketches:
        data = np.fromfile(self._path(".sketch"), np.uint8)
        keys, signatures, takes_part = np.split(data, [n * bands * 8, n * (bands * 8 + PERMUTATIONS)])
        return Sketches(
            keys.view("<u8").reshape(n, bands), signatures.reshape(n, PERMUTATIONS), takes_part.astype(np.bool_)
        )

    def text_path(self) -> Path:
        return self._path(".txt")

    def iter_names(self) -> Iterator[str]:
        return iter_jsonl(self._path(".names"))

    def iter_drops(self) -> Iterator[Dropped]:
        return (Dropped(*row) for row in iter_jsonl(self._path(".drops")))

    def _path(self, suffix: str) -> Path:
        return self._stem.with_suffix(suffix)


def count_reasons(drops: list[Dropped]) -> dict[str, int]:
    """Documents by the first word of their reason."""
    return dict(Counter(drop.reason.partition(":")[0] for drop in drops))


def printable(name: str) -> str:
    """A name that JSON can hold: a file's name need not be UTF-8."""
    return name.encode(errors="replace").decode()


def has_finished_pieces(folder: Path) -> bool:
    """Whether a restart could take something over."""
    return any(folder.glob("[0-9]*.json"))
