"""The one door through which anything paid is started.

    preconditions -> confirmation -> claim (exclusive, on disk) -> audit line (on disk) -> provider

Every step may refuse and then nothing was started. After the claim the plan is spent: a start that failed half-way is
looked at by a person and planned anew, because nobody knows what runs there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from picochat.artifacts.checks import CheckResult, overall
from picochat.core.errors import PicochatError, refuse
from picochat.core.failpoints import failpoint
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.records import LaunchPlan


class Started(NamedTuple):
    """What the other side said: an identity to ask about later, and what was sent."""

    id: str
    detail: dict[str, Any]


class Provider(Protocol):
    """Somewhere a plan can be started."""

    def start(self, plan: LaunchPlan) -> Started:
        """Starts it. Raises `launch.provider`."""
        ...


class Recorder:
    """A provider that writes down what it would have started."""

    def __init__(self) -> None:
        self.started: list[LaunchPlan] = []

    def start(self, plan: LaunchPlan) -> Started:
        """Records the plan."""
        self.started.append(plan)
        return Started(f"recorded-{len(self.started)}", {"argv": list(plan.argv)})


def start_launch(
    desk: LaunchDesk,
    plan: LaunchPlan,
    confirm: Callable[[], None],
    judge: Callable[[LaunchPlan], list[CheckResult]],
    provider: Provider,
    login: str,
) -> Started:
    """Starts a plan that is on the desk, at most once.

    `confirm` consumes the confirmation and raises when it is not one; `judge` gives the preconditions as they are now.
    Raises `launch.blocked`, `launch.challenge`, `launch.cap`, `launch.started`, `launch.provider`.
    """
    digest = plan.digest()
    with desk.lock():
        stored = desk.find_plan(digest)
        if stored.digest() != digest:
            refuse("launch.plan", f"plan {digest[:12]} is not the one on the desk")
        if desk.read_start(digest) is not None:
            desk.audit("refused", digest, code="launch.started", login=login)
            refuse("launch.started", f"plan {digest[:12]} was started before")
        try:
            require_ready(judge(stored))
            confirm()
        except PicochatError as err:
            desk.audit("refused", digest, code=err.code, detail=err.detail, login=login)
            raise
        desk.claim_start(digest)
        desk.audit("confirmed", digest, login=login, cap_usd=plan.money.cap_usd, argv=list(plan.argv))
        failpoint("launch.before_exec")
        try:
            started = provider.start(stored)
        except PicochatError as err:
            desk.record_start(digest, "failed", code=err.code, detail=err.detail)
            desk.audit("failed", digest, code=err.code, detail=err.detail)
            raise
        desk.record_start(digest, "started", id=started.id, **started.detail)
        desk.audit("started", digest, id=started.id)
    return started


def require_ready(checks: list[CheckResult]) -> None:
    """Raises `launch.blocked` with the first precondition that does not hold; no preconditions are no readiness."""
    if not checks:
        refuse("launch.blocked", "0 preconditions were judged")
    if overall(checks) == "blocked":
        worst = [
            check for check in checks if check.verdict == "block" or (check.required and check.verdict == "not_run")
        ]
        refuse("launch.blocked", f"{worst[0].id} is {worst[0].verdict} ({len(worst)} in all)", fix=worst[0].fix)
