"""A run, a desk and a plan of which every precondition holds, and a machine that writes down what it would start.

Room(root, bare)        `bare` is a run folder; the room takes a copy of it under `letters-1b`, the plan's own name
RecordingMachine        a provider with room on its disk; what it was asked to start stands in its list, and in a file
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.launch_plans import sound_plan

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.code_record import code_record
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import pretty_json, read_json
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.preconditions import judge_preconditions
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.start import Recorder, Started

SOON = datetime.timedelta(seconds=1)
PASSED = CheckResult(id="dry.steps", verdict="pass", required=True, why="because")


class Room:
    """A run with a preflight, a desk with a ceiling and a dry run, and the plan for all of it."""

    def __init__(self, root: Path, bare: Path) -> None:
        self.store, self.desk = RunStore(Path(shutil.copytree(bare, root / "letters-1b"))), LaunchDesk(root)
        self.write_preflight()
        self.desk.root.mkdir()
        (self.desk.root / layout.DESK_SETTINGS).write_text("max_cap_usd = 500\n")
        self.plan = self.make()
        self.desk.write_dry_run(self.plan.digest(), [PASSED], "dry")

    def write_preflight(self, verdict: str = "pass", column: str = "release") -> None:
        manifest = read_json(self.store.path(layout.CORPUS_MANIFEST))["manifest"]
        body: dict[str, Any] = {"schema": {"name": "preflight", "version": 1}, "manifest": manifest}
        body |= {"verdict": verdict, "column": column}
        body["self_digest"] = self_digest(body)
        self.store.path(layout.PREFLIGHT).write_bytes(pretty_json(body))

    def make(self, **changes: Any) -> LaunchPlan:
        corpus = self.store.path(layout.CORPUS)
        files = [{"path": layout.CORPUS, "bytes": corpus.stat().st_size, "sha256": sha256_file(corpus)}]
        facts = {
            "files": files,
            "code_digest": code_record().package_digest,
            "preflight_digest": sha256_file(self.store.path(layout.PREFLIGHT)),
            "predicted": {"disk_bytes": 1e9},
        }
        return sound_plan(**(facts | changes))

    def judge(
        self,
        plan: LaunchPlan | None = None,
        ask: Callable[[], int] | None = lambda: 10**12,
        later: datetime.timedelta = SOON,
    ) -> dict[str, str]:
        found = judge_preconditions(
            plan or self.plan, self.store, self.desk, datetime.datetime.now(datetime.UTC) + later, ask
        )
        assert all(check.required and check.fix for check in found)
        return {check.id: check.verdict for check in found}


class RecordingMachine(Recorder):
    """Nothing leaves this machine."""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()
        self._file = file

    def start(self, plan: LaunchPlan) -> Started:
        started = super().start(plan)
        if self._file is not None:
            with self._file.open("a") as stream:
                stream.write(json.dumps({"plan": plan.digest(), "argv": list(plan.argv)}) + "\n")
        return started

    def free_bytes(self, plan: LaunchPlan) -> int:
        return 10**12
