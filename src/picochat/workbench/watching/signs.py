"""Signs of files: numbers that change when a file does, without a look into it. No link is followed.

quick_sign(root)     two calls of the system: whether a look at the rest is worth it
run_signs(root)      {kind: sign} of one run, a call for each of its files
desk_signs(runs)     the same of what lies beside the runs
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator
from pathlib import Path

from picochat.artifacts import layout
from picochat.workbench.memo import stamp
from picochat.workbench.watching.feed import Kind

Signs = dict[Kind, int]
MOST_ENTRIES = 512
"""A folder with more of them shows by its own time of change that there are new ones."""
MOST_DEEP = 32
OF_THE_ROOT: dict[str, Kind] = {
    layout.RUN: "status",
    layout.STATUS: "status",
    layout.CONTROL: "status",
    layout.EVENTS: "events",
    layout.PREFLIGHT: "gate",
    layout.WAIVERS: "gate",
    layout.GATE: "gate",
}
IGNORED = frozenset({layout.DDP_CONTROL, layout.CORPUS, layout.CORPUS_DOCUMENTS})
CLOSED = frozenset({layout.SHARDS, "chat"})
"""Folders of many large files: whether there are new ones is enough."""
CHECKPOINTS = frozenset({layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS, layout.BEST, layout.KEPT})
PLANS = frozenset({layout.DESK_PLANS, layout.DESK_STARTS, layout.DESK_DRY_RUNS})


def quick_sign(root: Path) -> Hashable:
    """Changes when a file of the root is replaced, made or removed, and when the events grow."""
    return stamp(root), stamp(root / layout.EVENTS)


def run_signs(root: Path) -> Signs:
    """{kind: sign}; a kind without files is absent."""
    found: defaultdict[Kind, set[Hashable]] = defaultdict(set)
    for entry in _entries(root):
        if entry.name in IGNORED:
            continue
        if not _is_folder(entry) or entry.name in CLOSED:
            found[OF_THE_ROOT.get(entry.name, "reports")].add(_stamp(entry))
        else:
            for inner in _entries(entry.path):
                if kind := _kind_below(entry.name, inner.name):
                    found[kind].add((entry.name, _stamp(inner)))
    return {kind: hash(frozenset(stamps)) for kind, stamps in found.items()}


def _kind_below(folder: str, name: str) -> Kind | None:
    """Of a file one folder down. Rows and the ledger grow with each item, and are shown when their report is there."""
    if folder == layout.LOGS:
        return "logs"
    if name in CHECKPOINTS:
        return "checkpoints"
    return "reports" if not name.endswith(".jsonl") or name == layout.SAMPLES else None


def desk_signs(runs: Path) -> Signs:
    """Plans, starts and rehearsals; and the commands that were started, of which the newest are looked into."""
    found: defaultdict[Kind, set[Hashable]] = defaultdict(set)
    for entry in _entries(runs / layout.DESK):
        if not _is_folder(entry):
            found["plans"].add(_stamp(entry))
            continue
        kind: Kind = "plans" if entry.name in PLANS else "processes"
        inner = [(_stamp(one), one) for one in _entries(entry.path)]
        found[kind].update(sign for sign, _ in inner)
        folders = [(sign[2], one) for sign, one in inner if sign is not None and _is_folder(one)]
        for _, one in sorted(folders, key=lambda pair: pair[0])[-MOST_DEEP:]:
            found[kind].update((one.name, _stamp(deep)) for deep in _entries(one.path))
    return {kind: hash(frozenset(stamps)) for kind, stamps in found.items()}


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, work files aside; nothing where there is none."""
    try:
        with os.scandir(folder) as found:
            for number, entry in enumerate(found):
                if number >= MOST_ENTRIES:
                    return
                if not entry.name.startswith("."):
                    yield entry
    except OSError:
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _stamp(entry: os.DirEntry[str]) -> tuple[str, int, int, int] | None:
    """Name, size, time of change, inode; None when it has gone meanwhile."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return entry.name, found.st_size, found.st_mtime_ns, found.st_ino
