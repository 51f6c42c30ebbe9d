"""Writing parts: rows are packed in memory, and a part appears whole, synced, under its name, or not at all."""

from __future__ import annotations

from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from picochat.core.extras import require_extra
from picochat.core.failpoints import failpoint
from picochat.core.fs import raise_disk_error, write_atomic
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import ESCAPE_SURROGATES
from picochat.data.imports.manifest import PartFile, part_name

LEVEL = 3
_PIECE_BYTES = 1 << 20
"""What is handed to the packer at once: the same pieces give the same bytes."""


def row_line(name: str, text: str) -> bytes:
    """The canonical JSON of a row and a newline, written out because a general encoder takes five times as long."""
    line = f'{{"name":{encode_basestring(name)},"text":{encode_basestring(text)}}}\n'
    return line.encode(errors=ESCAPE_SURROGATES)


class PartBuilder:
    """Takes the rows of one part. Its bytes depend on them and on the version of zstandard alone."""

    def __init__(self) -> None:
        zstandard = require_extra("zstandard", "the parts of an import are packed with zstd")
        self._packer: Any = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._waiting = bytearray()
        self._packed: list[bytes] = []
        self.rows = 0
        self.text_bytes = 0

    def add(self, name: str, text: str) -> None:
        """One document. Half of a surrogate pair is kept as its JSON escape."""
        self._waiting += row_line(name, text)
        self.rows += 1
        self.text_bytes += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        if len(self._waiting) >= _PIECE_BYTES:
            self._pack()

    def _pack(self) -> None:
        self._packed.append(self._packer.compress(bytes(self._waiting)))
        self._waiting.clear()

    def publish(self, folder: Path, unit: int, piece: int) -> PartFile:
        """Writes the part durably. Raises `disk.full` or `disk.io`; what stood in the folder before still does."""
        self._pack()
        data = b"".join([*self._packed, self._packer.flush()])
        path = folder / part_name(unit, piece)
        write_atomic(path, data)
        try:
            failpoint("import.after_part")
        except OSError as err:
            raise_disk_error(err, path, len(data))
        return PartFile(
            name=path.name,
            rows=self.rows,
            text_bytes=self.text_bytes,
            bytes=len(data),
            sha256=sha256_bytes(data),
        )
