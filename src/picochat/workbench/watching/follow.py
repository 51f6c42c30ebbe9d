"""Follows the runs folder: looks at files while somebody listens, and says what changed since the last look.

A look is cheap for runs that nobody writes: one that changed lately is looked at whole each time, any other by two
calls of the system each second look, and a few of these whole, in turns. Nothing is read, so nothing is parsed.

A state can change without a file: a killed process writes nothing. So a run that falls silent is said to have changed
a few times more.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from picochat.artifacts import layout
from picochat.core.clock import Clock
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.views.runs.run_state import RUNNING, STALLED_AFTER_S
from picochat.workbench.folders import is_id, is_run_folder
from picochat.workbench.memo import Stamp, stamp
from picochat.workbench.watching.feed import KINDS, Change, Feed, Kind, Since
from picochat.workbench.watching.signs import Signs, desk_signs, quick_sign, run_signs

LOOK_S = 0.5
LIVELY_S = 30.0
SILENT_S = (3.0, 6.5, STALLED_AFTER_S + 1.0)
"""After so long without a change it is time to look whether the process is there, and whether it has stalled."""
DEEP_A_LOOK = 4
CANDIDATES_A_LOOK = 32
DESK_EVERY = 2
LIST_EVERY = 60
"""Looks after which the folder is listed even if its time of change is the same."""


@dataclass
class Seen:
    """A run as it was at the last look."""

    quick: Hashable = None
    signs: Signs = field(default_factory=dict)
    changed_at: float | None = None
    reminded: int = 0


class Follower:
    """One for a server; `look` may be called from any thread."""

    def __init__(self, runs: Path, clock: Clock, feed: Feed | None = None) -> None:
        self.feed = feed or Feed()
        self._runs = runs
        self._clock = clock
        self._lock = threading.Lock()
        self._folder: Stamp = None
        self._seen: dict[str, Seen] = {}
        self._candidates: list[str] = []
        self._desk: Signs = {}
        self._looks = 0
        self._looked_at: float | None = None

    def since(self, cursor: int) -> Since:
        """What changed after a number, as of now."""
        self.look(LOOK_S)
        return self.feed.since(cursor)

    def look(self, at_most_every_s: float = 0.0) -> None:
        """Looks at the files, unless that was just done. The first look is what later ones are compared with."""
        with self._lock:
            now = self._clock.monotonic()
            if self._looked_at is not None and now - self._looked_at < at_most_every_s:
                return
            first, self._looked_at = self._looked_at is None, now
            changes = list(self._first_look(now) if first else self._look(now))
            self.feed.add(dict.fromkeys(changes))
            self._looks += 1

    def _first_look(self, now: float) -> Iterator[Change]:
        for _ in self._list_runs(now):
            pass
        self._desk = desk_signs(self._runs)
        for name, seen in self._seen.items():
            if not _says_that_it_runs(self._runs / name):
                seen.changed_at = None
        yield from ()

    def _look(self, now: float) -> Iterator[Change]:
        yield from self._list_runs(now)
        turn = list(itertools.islice(itertools.cycle(self._seen), self._turn(), self._turn() + DEEP_A_LOOK))
        for number, (name, seen) in enumerate(self._seen.items()):
            lively = seen.changed_at is not None and now - seen.changed_at < LIVELY_S
            if lively or name in turn or ((number + self._looks) % 2 == 0 and self._stirs(name, seen)):
                yield from self._look_into(name, seen, now)
            if lively:
                yield from self._remind(name, seen, now)
        if self._looks % DESK_EVERY == 0:
            signs = desk_signs(self._runs)
            yield from (Change(None, kind) for kind in _differing(self._desk, signs))
            self._desk = signs

    def _turn(self) -> int:
        return self._looks * DEEP_A_LOOK % max(1, len(self._seen))

    def _stirs(self, name: str, seen: Seen) -> bool:
        return quick_sign(self._runs / name) != seen.quick

    def _look_into(self, name: str, seen: Seen, now: float) -> Iterator[Change]:
        """The kinds that are others than at the last look into this run."""
        root = self._runs / name
        quick, signs = quick_sign(root), run_signs(root)
        changed = _differing(seen.signs, signs)
        if changed:
            seen.changed_at, seen.reminded = now, 0
        seen.quick, seen.signs = quick, signs
        yield from (Change(name, kind) for kind in changed)

    def _remind(self, name: str, seen: Seen, now: float) -> Iterator[Change]:
        assert seen.changed_at is not None
        if seen.reminded < len(SILENT_S) and now - seen.changed_at >= SILENT_S[seen.reminded]:
            seen.reminded += 1
            yield Change(name, "status")

    def _list_runs(self, now: float) -> Iterator[Change]:
        """Runs that have come and gone. A folder becomes a run when its record or status is there."""
        folder = stamp(self._runs)
        due = folder != self._folder or self._looks % LIST_EVERY == 0
        watched = self._candidates[:CANDIDATES_A_LOOK]
        self._candidates = self._candidates[CANDIDATES_A_LOOK:] + watched
        if not due and not any(is_run_folder(self._runs / name) for name in watched):
            return
        self._folder = folder
        names, self._candidates = _list_names(self._runs)
        gone, new = self._seen.keys() - set(names), [name for name in names if name not in self._seen]
        for name in gone:
            del self._seen[name]
        for name in new:
            root = self._runs / name
            self._seen[name] = Seen(quick_sign(root), run_signs(root), now)
        if gone or new:
            yield Change(None, "runs")
            yield from (Change(name, "status") for name in new)


def _differing(before: Signs, now: Signs) -> list[Kind]:
    return [kind for kind in KINDS if before.get(kind) != now.get(kind)]


def _list_names(runs: Path) -> tuple[list[str], list[str]]:
    """(runs, folders that may become one)."""
    names: tuple[list[str], list[str]] = [], []
    try:
        with os.scandir(runs) as found:
            for entry in found:
                if is_id(entry.name) and not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    names[0 if is_run_folder(runs / entry.name) else 1].append(entry.name)
    except OSError:
        return [], []
    return names


def _says_that_it_runs(root: Path) -> bool:
    try:
        status = read_json(root / layout.STATUS)
    except (PicochatError, OSError):
        return False
    return isinstance(status, dict) and status.get("state") == RUNNING
