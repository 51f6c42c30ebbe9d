"""How large the tensors of a file are, read from its header alone (torch-free)."""

from __future__ import annotations

import math
from pathlib import Path

from picochat.checkpoint import raw
from picochat.core.errors import refuse

LENGTH_BYTES = 8


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of a safetensors file by its name.

    Raises `checkpoint.unreadable`, or `checkpoint.tensors` for a header that does not describe the file's bytes.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
            header = stream.read(min(length, raw.MAX_HEADER_BYTES))
        size = path.stat().st_size
    except OSError as err:
        refuse("checkpoint.unreadable", f"{path}: {err.strerror}")
    spans = raw.parse_header(header, length, size, str(path))
    return {name: span.shape for name, span in spans.items()}


def count_elements(path: Path) -> int:
    """Elements of all tensors of a file: for weights the parameters, of which a tied one is stored once."""
    return sum(math.prod(shape) for shape in read_shapes(path).values())
