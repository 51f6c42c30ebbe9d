"""How large the dictionary of a Parquet column chunk becomes in memory, read from the head of its page.

A head is a Thrift struct in compact form: field 1 the type of the page, field 2 its bytes when unpacked, both 32-bit
integers (apache/parquet-format, `PageHeader`). A small file may hold a dictionary of gigabytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_HEAD_BYTES = 32
_NEXT_FIELD_I32 = 0x15
"""The next field, a 32-bit integer."""
_DICTIONARY_PAGE = 2


def dictionary_bytes(path: Path, chunk: Any) -> int:
    """Bytes of the unpacked dictionary of a column chunk; 0 without one, those of the whole chunk if it cannot be told.

    `chunk` is the metadata of the chunk.
    """
    if not chunk.has_dictionary_page or chunk.dictionary_page_offset is None:
        return 0
    with path.open("rb") as stream:
        stream.seek(chunk.dictionary_page_offset)
        head = stream.read(_HEAD_BYTES)
    try:
        kind, at = _read_int(head, 0)
        size, _ = _read_int(head, at)
    except (IndexError, ValueError):
        return int(chunk.total_uncompressed_size)
    return size if kind == _DICTIONARY_PAGE and size >= 0 else int(chunk.total_uncompressed_size)


def _read_int(head: bytes, at: int) -> tuple[int, int]:
    """(a zigzag integer, the place behind it). Raises ValueError or IndexError when no 32-bit field begins there."""
    if head[at] != _NEXT_FIELD_I32:
        raise ValueError(f"byte {head[at]} begins another field")
    value = shift = 0
    while True:
        at += 1
        value |= (head[at] & 0x7F) << shift
        shift += 7
        if not head[at] & 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
