"""Launches that the page confirms: the same door as the command's (`start_launch`), opened from a request.

    ask -> one entry a (login, idempotency key) -> a thread: preconditions, confirmation, claim, audit, provider

The answer comes once the plan was refused or is being started; copying to another machine may take hours, and what
became of it then stands on the desk. Every refusal is in the audit trail.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError, refuse
from picochat.core.hashing import digest_of
from picochat.pipeline.launch.confirm import Confirmations
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.judging import Machine, judge_plan
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.ssh import SshProvider
from picochat.pipeline.launch.start import Started, start_launch

ANSWER_WITHIN_S = 50.0
"""Judging a plan hashes every file that travels; the page gives up after a minute."""
STARTED_WITHIN_S = 2.0
MOST_KEPT = 256
AUDITED = frozenset({"launch.started", "launch.blocked", "launch.challenge", "launch.cap"})
"""What `start_launch` writes into the trail itself."""
MakeProvider = Callable[[LaunchPlan, RunStore], Machine]


class Confirmed(NamedTuple):
    """What a person sent: the plan's digest once more, the challenge, and the cap as it was typed."""

    plan: str
    digest: str
    challenge: str
    cap: str


class _Entry:
    """One request: `settled` once it was refused or is being started, `done` once the provider has answered."""

    def __init__(self, ask: Confirmed) -> None:
        self.fingerprint = digest_of(list(ask))
        self.settled, self.done = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def close(self, error: BaseException | None) -> None:
        self.error = error
        self.done.set()
        self.settled.set()


class _Announced:
    """A machine that says when its start begins: from then on money may be spent, and nothing is refused any more."""

    def __init__(self, machine: Machine, begun: Callable[[], None]) -> None:
        self._machine, self._begun = machine, begun

    def start(self, plan: LaunchPlan) -> Started:
        self._begun()
        return self._machine.start(plan)


def ssh_machine(plan: LaunchPlan, store: RunStore) -> Machine:
    """The provider of a plan outside of tests."""
    return SshProvider(store.root)


class Launching:
    """The confirmations of one server and what came of them. Safe to call from several threads."""

    def __init__(self, runs: Path, confirmations: Confirmations) -> None:
        self.desk = LaunchDesk(runs)
        self._confirmations = confirmations
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def launch(
        self, ask: Confirmed, key: str, login: str, find_run: Callable[[LaunchPlan], RunStore], make: MakeProvider
    ) -> dict[str, Any]:
        """Starts a plan once. The same key of the same login gets the first result, whatever that was; while the
        plan is still judged that is `settled` false, and the same key asks again.

        Raises `launch.key` for a key of another request, and what `start_launch` raises.
        """
        with self._lock:
            entry = self._entries.get((login, key))
            first = entry is None
            if entry is None:
                entry = self._entries[login, key] = _Entry(ask)
                while len(self._entries) > MOST_KEPT:
                    self._entries.popitem(last=False)
        if entry.fingerprint != digest_of(list(ask)):
            self._refused(ask, login, "launch.key", "the idempotency key was used for another request")
            refuse("launch.key", "the idempotency key was used for another request")
        if first:
            work = threading.Thread(target=self._work, args=(entry, ask, login, find_run, make), daemon=True)
            work.start()
        entry.settled.wait(ANSWER_WITHIN_S)
        entry.done.wait(STARTED_WITHIN_S if entry.settled.is_set() else 0)
        if entry.error is not None:
            raise entry.error
        return {"plan": ask.plan, "settled": entry.settled.is_set(), "start": self.desk.read_start(ask.plan)}

    def _work(
        self,
        entry: _Entry,
        ask: Confirmed,
        login: str,
        find_run: Callable[[LaunchPlan], RunStore],
        make: MakeProvider,
    ) -> None:
        error: BaseException | None = None
        try:
            self._start(entry, ask, login, find_run, make)
        except PicochatError as err:
            error = err
            if err.code not in AUDITED and not entry.settled.is_set():
                self._refused(ask, login, err.code, err.detail)
        except BaseException as err:  # it is raised again where the request waits
            error = err
        entry.close(error)

    def _start(
        self,
        entry: _Entry,
        ask: Confirmed,
        login: str,
        find_run: Callable[[LaunchPlan], RunStore],
        make: MakeProvider,
    ) -> None:
        plan = self.desk.find_plan(ask.plan)
        if ask.digest != ask.plan:
            refuse("launch.plan", f"the request is about plan {ask.digest[:12]}, its path about {ask.plan[:12]}")
        if plan.target.kind != "ssh":
            refuse("launch.target", f"{plan.target.kind} is submitted by you", fix="copy what the plan is rendered to")
        store = find_run(plan)
        machine = make(plan, store)
        start_launch(
            self.desk,
            plan,
            lambda: self._confirmations.consume(ask.challenge, plan, login, ask.cap),
            lambda stored: judge_plan(stored, store, self.desk, machine),
            _Announced(machine, entry.settled.set),
            login,
        )

    def _refused(self, ask: Confirmed, login: str, code: str, detail: str) -> None:
        self.desk.audit("refused", ask.plan, code=code, detail=detail, login=login)
