"""What all routes share: the runs folder, the settings, what was read before, and who may confirm what.

Ids come from requests, paths never do: an id is matched, then looked up below the runs folder without following a link.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.core.clock import Clock, SystemClock
from picochat.pipeline.launch.confirm import Confirmations
from picochat.workbench.launching import Launching, MakeProvider, ssh_machine
from picochat.workbench.memo import Memo
from picochat.workbench.problems import not_found
from picochat.workbench.processes import Processes
from picochat.workbench.sessions import Sessions
from picochat.workbench.settings import WebConfig

ID = re.compile(r"[A-Za-z0-9._-]{1,80}")
"""A folder with another name is listed by `picochat runs` alone."""
SIGNS_OF_A_RUN = (layout.RUN, layout.STATUS)


def is_id(text: str) -> bool:
    return ID.fullmatch(text) is not None and text.strip(".") != ""


@dataclass
class Workbench:
    """The state of one server."""

    runs: Path
    config: WebConfig = field(default_factory=WebConfig)
    clock: Clock = field(default_factory=SystemClock)
    memo: Memo = field(default_factory=Memo)
    sessions: Sessions = field(default_factory=Sessions)
    make_provider: MakeProvider = ssh_machine
    """Where plans are started; tests put one here that only records."""

    def __post_init__(self) -> None:
        self.confirmations = Confirmations(self.clock)
        self.processes = Processes(self.runs)
        self.launching = Launching(self.runs, self.confirmations)
        self.desk = self.launching.desk
        self.judged: dict[str, tuple[float, str, list[CheckResult]]] = {}
        """By the digest of a plan: when its preconditions were judged, on both clocks, and how."""

    def run(self, name: str) -> RunStore:
        """One run of the folder. Raises 404 for anything that is none."""
        folder = self.runs / name
        if not is_id(name) or not is_run_folder(folder):
            raise not_found("there is no run of that name")
        return RunStore(folder)

    def run_folders(self) -> list[Path]:
        """All runs, by name: what has a record or a status is one, from its first second on and after any crash."""
        try:
            folders = sorted(self.runs.iterdir())
        except OSError:
            return []
        return [folder for folder in folders if is_id(folder.name) and is_run_folder(folder)]


def is_run_folder(folder: Path) -> bool:
    """Whether it is a folder, no link to one, that holds the record or the status of a run."""
    return is_kind(folder, stat.S_ISDIR) and any(is_kind(folder / name, stat.S_ISREG) for name in SIGNS_OF_A_RUN)


def is_kind(path: Path, kind: object) -> bool:
    """Whether the path itself, not what it may point to, is of a kind: `stat.S_ISREG`, `stat.S_ISDIR`."""
    try:
        return kind(path.lstat().st_mode)  # type: ignore[operator]
    except (OSError, ValueError):
        return False
