"""The corpus on disk: `corpus.txt` with the documents in order, and one fixed record of 64 bytes a document.

Readers use offsets, never a separator: a document may contain anything, its newline included.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from picochat.core.errors import refuse
from picochat.core.fs import HashingWriter, atomic_writer
from picochat.data.split import SIDES, Side

DOCUMENT = np.dtype(
    [
        ("offset", "<u8"),
        ("length", "<u8"),
        ("sha256", "V32"),
        ("source", "<u4"),
        ("split", "u1"),
        ("flags", "u1"),
        ("spare", "V2"),
        ("cluster", "<u8"),
    ]
)
_RECORD = struct.Struct("<QQ32sIBB2xQ")
assert _RECORD.size == DOCUMENT.itemsize
FLAG_SECRET = 1
FLAG_EMAIL = 2
FLAG_CANARY = 4
"""A planted document (see `data.memorisation.canaries`); all of them stand at the end."""
BLOCK_DOCUMENTS = 1 << 18


class Document(NamedTuple):
    """What is known of a document when it is written. `source` is its number in pack order."""

    text: str
    source: int
    split: int
    cluster: int
    flags: int = 0


class CorpusWriter:
    """Takes documents in order; both files appear when the block that opened it ends well."""

    def __init__(self, text: HashingWriter, records: HashingWriter) -> None:
        self._text = text
        self._records = records
        self._offset = 0
        self.n_documents = 0

    def add(self, document: Document) -> int:
        """Writes the text and one newline, and returns the text's length in bytes."""
        data = document.text.encode()
        digest = hashlib.sha256(data).digest()
        self.add_bytes(data, digest, document.source, document.split, document.cluster, document.flags)
        return len(data)

    def add_bytes(self, data: bytes, digest: bytes, source: int, split: int, cluster: int, flags: int) -> None:
        """Writes a document whose UTF-8 bytes and their sha256 are known."""
        self._text.write(data + b"\n")
        self._records.write(_RECORD.pack(self._offset, len(data), digest, source, split, flags, cluster))
        self._offset += len(data) + 1
        self.n_documents += 1


@contextlib.contextmanager
def corpus_writer(text_path: Path, records_path: Path) -> Iterator[CorpusWriter]:
    """Opens both files of a corpus, each published whole, and neither when the block raises."""
    with atomic_writer(records_path) as records, atomic_writer(text_path) as text:
        yield CorpusWriter(text, records)


class CorpusReader:
    """A written corpus, opened by memory map. Raises `artifact.missing` or `corpus.layout`."""

    def __init__(self, text_path: Path, records_path: Path) -> None:
        for path in (text_path, records_path):
            if not path.is_file():
                refuse("artifact.missing", f"{path} does not exist")
        size = records_path.stat().st_size
        if size % DOCUMENT.itemsize:
            refuse("corpus.layout", f"{records_path} has {size:,} bytes, not a multiple of {DOCUMENT.itemsize}")
        # A map: what is not asked for stays on disk, whatever the number of documents.
        self.documents: np.ndarray = (
            np.memmap(records_path, DOCUMENT, "r").view(np.ndarray) if size else np.empty(0, DOCUMENT)
        )
        self._data = _open_map(text_path)
        self._require_layout(text_path)

    def _require_layout(self, text_path: Path) -> None:
        """The records must tile the text file: each document, one newline, nothing before, between or after."""
        end = 0
        for first in range(0, len(self.documents), BLOCK_DOCUMENTS):
            block = self.documents[first : first + BLOCK_DOCUMENTS]
            ends = np.cumsum(block["length"] + np.uint64(1), dtype=np.uint64) + np.uint64(end)
            offsets = np.append(np.uint64(end), ends[:-1])
            if not np.array_equal(block["offset"], offsets):
                refuse("corpus.layout", f"the records of {text_path} do not follow one another")
            end = int(ends[-1])
        if end != len(self._data):
            refuse("corpus.layout", f"{text_path} has {len(self._data):,} bytes, its records describe {end:,}")

    def __len__(self) -> int:
        return len(self.documents)

    @functools.cached_property
    def n_found(self) -> int:
        """Documents that were found in the sources; those after them were planted."""
        count = len(self.documents)
        while count and int(self.documents["flags"][count - 1]) & FLAG_CANARY:
            count -= 1
        return count

    def data(self, index: int) -> bytes:
        """The UTF-8 bytes of a document, without the newline after it."""
        start = int(self.documents["offset"][index])
        return self._data[start : start + int(self.documents["length"][index])]

    def text(self, index: int) -> str:
        """The text of a document. Raises `corpus.layout` when its bytes are not UTF-8."""
        try:
            return self.data(index).decode()
        except UnicodeDecodeError as err:
            refuse("corpus.layout", f"document {index} is not UTF-8: {err}")

    def indices(self, split: Side | None = None, *, planted: bool = True) -> np.ndarray:
        """The numbers of the documents of one side, or of all, in order; without the planted ones when asked for."""
        count = len(self.documents) if planted else self.n_found
        if split is None:
            return np.arange(count)
        return np.flatnonzero(self.documents["split"][:count] == SIDES[split])

    def iter_texts(self, split: Side | None = None) -> Iterator[str]:
        """The texts of one side, or of all, in order."""
        for index in self.indices(split):
            yield self.text(int(index))


def _open_map(path: Path) -> mmap.mmap | bytes:
    """The bytes of a file without reading them; an empty file cannot be mapped."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
