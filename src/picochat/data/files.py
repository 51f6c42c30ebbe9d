"""Finding the files of a source: in one order on every machine, without following a link in circles."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from picochat.core.errors import refuse

DEFAULT_INCLUDE = {
    "auto": ("**/*",),
    "text": ("**/*.txt",),
    "markdown": ("**/*.md", "**/*.markdown"),
    "jsonl": ("**/*.jsonl", "**/*.jsonl.gz", "**/*.jsonl.zst"),
    "csv": ("**/*.csv", "**/*.csv.gz", "**/*.csv.zst"),
    "parquet": ("**/*.parquet",),
    "guessed": ("**/*.txt",),
}


class FoundFile(NamedTuple):
    """A file of a source by its name below the source's folder, or the reason why it cannot be read."""

    name: str
    path: Path
    problem: str | None = None


def iter_files(root: Path, include: tuple[str, ...], exclude: tuple[str, ...]) -> Iterator[FoundFile]:
    """The files below a folder that match, sorted by name; hidden files and folders are passed over.

    A link to a file is read. A link to a folder is named as a problem and not followed; one that leads back into a
    folder above itself raises `source.loop`.
    """
    for found in _iter_below(root, ""):
        if matches(found.name, include) and not matches(found.name, exclude):
            yield found


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a relative name with `/` matches one of the globs; `**/` stands for any number of folders."""
    return any(_glob_regex(pattern).fullmatch(name) for pattern in patterns)


def _iter_below(folder: Path, prefix: str) -> Iterator[FoundFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as err:
        yield FoundFile(prefix.rstrip("/") or ".", folder, f"unreadable_folder: {err.strerror}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name, path = prefix + entry.name, Path(entry.path)
        if entry.is_symlink():
            yield _classify_link(name, path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _iter_below(path, name + "/")
        else:
            yield FoundFile(name, path, None if entry.is_file(follow_symlinks=False) else "not_a_file")


def _classify_link(name: str, path: Path) -> FoundFile:
    """What a symbolic link leads to. Raises `source.loop`."""
    try:
        target = path.resolve(strict=True)
    except (RuntimeError, OSError) as err:
        if isinstance(err, FileNotFoundError | PermissionError | NotADirectoryError):
            return FoundFile(name, path, "broken_link")
        refuse("source.loop", f"{path} is a symbolic link that leads to itself")
    if target.is_dir():
        if path.parent.resolve().is_relative_to(target):
            refuse("source.loop", f"{path} is a symbolic link to {target}, a folder that contains it")
        return FoundFile(name, path, "link_to_folder")
    return FoundFile(name, path, None if target.is_file() else "not_a_file")


@lru_cache(maxsize=256)
def _glob_regex(pattern: str) -> re.Pattern[str]:
    """`**/` any folders, `**` anything, `*` and `?` inside one name; everything else stands for itself."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    wild = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts), re.DOTALL)
