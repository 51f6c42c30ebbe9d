"""Arrays that live in files, so that state kept for every document costs disk and not memory.

They are working state: what is written to them reaches every process that has them open, and nothing is synced.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picochat.core.errors import refuse
from picochat.core.fs import raise_disk_error


def open_array(path: Path, dtype: Any, shape: tuple[int, ...], *, create: bool) -> NDArray[Any]:
    """A memory map over a file of exactly this size, made of zeros when `create`. An empty array needs no file.

    Raises `disk.full` or `disk.io` when there is no room for all of it, `disk.array` when the file to be opened is
    missing or has another size.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    if create:
        _allocate(path, size)
    elif not path.is_file() or path.stat().st_size != size:
        refuse("disk.array", f"{path} is not a file of {size:,} bytes")
    # A plain view: memmap's own indexing is slow, and writes reach the file either way.
    return np.memmap(path, dtype, "r+", shape=shape).view(np.ndarray)


def _allocate(path: Path, size: int) -> None:
    """A file of zeros that has its blocks: a write into a map that finds the disk full kills the process (SIGBUS)."""
    try:
        with open(path, "wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)
    except OSError as err:
        path.unlink(missing_ok=True)
        raise_disk_error(err, path, size)
