"""One sabotage at work: a copy of the green run, what lies beside it, and the verdict that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.redteam.signing import sign_again
from tests.support.green_run import GreenRun

from picochat.artifacts.store import RunStore
from picochat.core.clock import SystemClock, utc_today
from picochat.judgement.evidence import NUMBERED
from picochat.judgement.gate import judge_run
from picochat.judgement.profile import PROFILES

N = 100
"""Rows a skill: the fewest that a release profile judges."""


class Verdict(NamedTuple):
    """What the gate said: verdict of the whole, results by check, and how long it took to say so."""

    verdict: str
    checks: dict[str, dict[str, Any]]
    seconds: float

    def blocking(self) -> list[str]:
        """The checks that block: they failed, or are required and were not run."""
        return [
            name
            for name, check in self.checks.items()
            if check["verdict"] == "block" or (check["verdict"] == "not_run" and check["required"])
        ]

    def measured(self, check: str) -> str:
        """What a check measured, as the table shows it."""
        found = self.checks[check]["measured"]
        return "not run" if self.checks[check]["verdict"] == "not_run" else f"{found:.4g}"


def judge_scene(root: Path, profile: str = "skill_release", profiles: Path = PROFILES) -> Verdict:
    clock = SystemClock()
    started = clock.monotonic()
    body = judge_run(RunStore(root), profile, profiles=profiles, judged_on=utc_today())
    return Verdict(body["verdict"], {check["id"]: check for check in body["checks"]}, clock.monotonic() - started)


@dataclass
class Scene:
    """`root` is the copy to spoil, `green` the untouched run, `other` an honest run of another seed."""

    root: Path
    green: Path
    other: Path
    benchmark: Path
    """The file that counts as the published benchmark."""
    scratch: Path
    profiles: Path = PROFILES

    @property
    def run(self) -> GreenRun:
        return GreenRun.reopen(self.root)

    @property
    def store(self) -> RunStore:
        return RunStore(self.root)

    def build(self, **options: Any) -> GreenRun:
        """A green run of another kind in the place of the copy; the caller writes its stages."""
        run = GreenRun(self.scratch / "built", **options)
        run.store.root.mkdir(parents=True)
        self.root = run.store.root
        return run

    def texts_changed(self, run: GreenRun | None = None) -> None:
        """What comes after a change of corpus or chat rows: honest evidence about them."""
        run = run or self.run
        run.count_again()
        sign_again(self.root)
        run.write_memorisation()
        run.write_honesty()
        self.cover_up()

    def cover_up(self) -> None:
        """No older record is left, and every list of digests fits."""
        for path in self.root.rglob("*"):
            if NUMBERED.search(path.name):
                path.unlink()
        sign_again(self.root)

    def judge(self, profile: str = "skill_release") -> Verdict:
        return judge_scene(self.root, profile, self.profiles)


Apply = Callable[[Scene], object]


class Sabotage(NamedTuple):
    """A row of the table. `form` says how it is done: on the artifacts, or really trained or evaluated that way."""

    number: str
    what: str
    check: str
    apply: Apply
    form: str = "made"
    hole: str = ""
    """Why it is not caught; the test then expects that it is not."""
