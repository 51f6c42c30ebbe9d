"""Which names and folders are runs: an id is matched, and a folder is looked at without following a link."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from picochat.artifacts import layout

ID = re.compile(r"[A-Za-z0-9._-]{1,80}")
"""A folder with another name is listed by `picochat runs` alone."""
SIGNS_OF_A_RUN = (layout.RUN, layout.STATUS)


def is_id(text: str) -> bool:
    return ID.fullmatch(text) is not None and text.strip(".") != ""


def is_run_folder(folder: Path) -> bool:
    """Whether it is a folder, no link to one, that holds the record or the status of a run.

    Where one of the two is a pipe or a link, whoever reads it waits for ever, or reads something else: no run either.
    """
    if not is_kind(folder, stat.S_ISDIR):
        return False
    kinds = [is_kind(folder / name, stat.S_ISREG) for name in SIGNS_OF_A_RUN if is_kind(folder / name, _any)]
    return bool(kinds) and all(kinds)


def is_kind(path: Path, kind: object) -> bool:
    """Whether the path itself, not what it may point to, is of a kind: `stat.S_ISREG`, `stat.S_ISDIR`."""
    try:
        return kind(path.lstat().st_mode)  # type: ignore[operator]
    except (OSError, ValueError):
        return False


def _any(mode: int) -> bool:
    return True
