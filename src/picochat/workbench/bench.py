"""What all routes share: the runs folder, the settings, what was read before, and who may confirm what.

Ids come from requests, paths never do: an id is matched, then looked up below the runs folder without following a link.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.core.clock import Clock, SystemClock
from picochat.pipeline.launch.confirm import Confirmations
from picochat.workbench.commands.launching import Launching, MakeProvider, ssh_machine
from picochat.workbench.commands.processes import Processes
from picochat.workbench.commands.speakers import Speakers
from picochat.workbench.commands.verifications import Verifications
from picochat.workbench.doctor import Doctor
from picochat.workbench.door.sessions import Sessions
from picochat.workbench.door.settings import WebConfig
from picochat.workbench.folders import is_id as is_id
from picochat.workbench.folders import is_kind as is_kind
from picochat.workbench.folders import is_run_folder as is_run_folder
from picochat.workbench.memo import Memo
from picochat.workbench.problems import not_found
from picochat.workbench.watching.follow import Follower
from picochat.workbench.watching.followers import Followers
from picochat.workbench.watching.machine_use import MachineUse
from picochat.workbench.watching.stream import Pulse


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
    followers: Followers = field(default_factory=Followers)

    def __post_init__(self) -> None:
        self.confirmations = Confirmations(self.clock)
        self.speakers = Speakers(self.clock)
        self.follower = Follower(self.runs, self.clock)
        self.pulse = Pulse(self.follower)
        self.doctor = Doctor(self.clock)
        self.processes = Processes(self.runs)
        self.launching = Launching(self.runs, self.confirmations)
        self.desk = self.launching.desk
        self.judged: dict[str, tuple[float, str, list[CheckResult]]] = {}
        """By the digest of a plan: when its preconditions were judged, on both clocks, and how."""
        self.verifications = Verifications(self.processes)
        self.machine_use = MachineUse(self.clock)

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
