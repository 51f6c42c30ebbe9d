"""The preconditions of a plan as they are at this moment: for the command and for the page, the same rows."""

from __future__ import annotations

import datetime
from typing import Protocol

from picochat.artifacts.checks import CheckResult
from picochat.artifacts.store import RunStore
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.preconditions import judge_preconditions
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.start import Provider


class Machine(Provider, Protocol):
    """A provider that can be asked before anything is started."""

    def free_bytes(self, plan: LaunchPlan) -> int:
        """Free disk there. Raises `launch.provider`."""
        ...


def run_of(plan: LaunchPlan) -> str:
    """The name of the run whose files travel: a dry run takes those of the plan that it rehearses."""
    return plan.run.removesuffix("-dry") if plan.dry_run_of else plan.run


def judge_plan(plan: LaunchPlan, store: RunStore, desk: LaunchDesk, machine: Machine | None) -> list[CheckResult]:
    """Every precondition; the other side's are not run without a machine to ask, nor where nothing can be reached."""
    asked = machine if plan.target.kind == "ssh" else None
    free = (lambda: asked.free_bytes(plan)) if asked else None
    return judge_preconditions(plan, store, desk, datetime.datetime.now(datetime.UTC), free)
