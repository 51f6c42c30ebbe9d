"""Attacks on the confirmation of a paid launch (bar E1, group launch): each is refused, and nothing is started.

LAUNCH    (group, name, build(target) -> bytes, statuses), as in `attacks`; a row is built once and sent at once
RACERS    so many requests, each with a confirmation, for one plan at the same time: one of them starts it

`target.known` holds what the rows need: `room` (its plans by name), `challenge(plan)`, `later(seconds)`.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from tests.support.attacks import Attack, Build, Target, rows
from tests.support.launch_room import PASSED, Room

from picochat.pipeline.launch.confirm import LIFETIME_S
from picochat.pipeline.launch.records import LaunchPlan

CAP = "430.00"
RACERS = 20
ORDER: dict[str, Any] = {"run": "letters-1b", "card": "H100", "rate": "3.00", "cap": CAP, "host": "me@gpu-1"}


class Plans:
    """A plan for each fault, of which all but that one thing holds."""

    def __init__(self, room: Room) -> None:
        self.room, self._made = room, 0
        self.good, self.other, self.raced, self.changed = (self.add() for _ in range(4))
        self.bare = self.add(rehearsed=False)
        self.above = self.add(money={"cap_usd": "500.01"})
        self.stale = self.add(preflight_digest="e" * 64)

    def add(self, *, rehearsed: bool = True, money: dict[str, str] | None = None, **changes: Any) -> LaunchPlan:
        """Another plan on the desk."""
        self._made += 1
        if money is not None:
            changes["money"] = self.room.plan.to_json()["money"] | money
        plan = self.room.make(nonce=f"{self._made:032x}", **changes)
        self.room.desk.add_plan(plan)
        if rehearsed:
            self.room.desk.write_dry_run(plan.digest(), [PASSED], "dry")
        return plan

    def edit(self, plan: LaunchPlan) -> None:
        """Eight GPUs become sixty-four, in the file itself."""
        path = self.room.desk.plan_path(plan.digest())
        path.write_bytes(path.read_bytes().replace(b'"gpus_per_node":8', b'"gpus_per_node":64'))


def path_of(plan: LaunchPlan) -> str:
    return f"/api/plans/{plan.digest()}/launch"


def confirmation(plan: LaunchPlan, challenge: str, cap: str | None = None) -> bytes:
    """The body of a launch; every one has a key of its own."""
    typed = plan.money.cap_usd if cap is None else cap
    body = {"digest": plan.digest(), "challenge": challenge, "cap": typed, "idempotency_key": secrets.token_hex(8)}
    return json.dumps(body).encode()


def launch(t: Target, plan: LaunchPlan, challenge: str | None = None, cap: str | None = None) -> bytes:
    """A launch that is good but for what is changed; None: a fresh confirmation."""
    value = t.known["challenge"](plan) if challenge is None else challenge
    return t.post(path_of(plan), confirmation(plan, value, cap))


def used(t: Target) -> bytes:
    value = t.known["challenge"](plans(t).good)
    t.known["send"](launch(t, plans(t).good, value, "1.00"))
    return launch(t, plans(t).good, value)


def expired(t: Target) -> bytes:
    value = t.known["challenge"](plans(t).good)
    t.known["later"](LIFETIME_S + 1)
    return launch(t, plans(t).good, value)


def plan_changed(t: Target) -> bytes:
    data = launch(t, plans(t).changed)
    plans(t).edit(plans(t).changed)
    return data


def gpus(text: str) -> Build:
    """A plan for a number of GPUs that is none, as it stands in JSON."""
    body = json.dumps(ORDER | {"gpus": 0}).replace('"gpus": 0', f'"gpus": {text}').encode()
    return lambda t: t.post("/api/plans", body)


def plans(t: Target) -> Plans:
    return t.known["plans"]


LAUNCH: list[Attack] = [
    *rows(
        "launch",
        {409},
        no_challenge=lambda t: launch(t, plans(t).good, ""),
        of_another_plan=lambda t: launch(t, plans(t).good, t.known["challenge"](plans(t).other)),
        used=used,
        expired=expired,
        cap_off_by_a_cent=lambda t: launch(t, plans(t).good, cap="430.01"),
        cap_without_cents=lambda t: launch(t, plans(t).good, cap="430"),
        plan_changed=plan_changed,
        above_the_ceiling=lambda t: launch(t, plans(t).above),
        no_dry_run=lambda t: launch(t, plans(t).bare),
        stale_preflight=lambda t: launch(t, plans(t).stale),
    ),
    *rows(
        "launch",
        {422},
        gpus_below_zero=gpus("-1"),
        gpus_without_end=gpus("1e309"),
        gpus_with_a_command=gpus('"8; rm"'),
    ),
]
"""With the racers twelve kinds; a number of GPUs comes in three forms."""
