"""The gate page: verdicts as they were given, what mends them in order, one check explained, and judging again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.judgement.registry import CHECKS
from picochat.workbench.problems import Problem
from picochat.workbench.reading.check_sets import RunChecks
from picochat.workbench.routing import Accepted, Call, Question, Route

Profile = Literal["research", "first_release", "skill_release"]
SETS = ("gate", "preflight", "verify")


class WhichSets(Question):
    """`set=gate,preflight`; one of them alone is as good."""

    set: str = "gate"

    @field_validator("set")
    @classmethod
    def _known(cls, value: str) -> str:
        names = value.split(",")
        if len(set(names)) != len(names) or not set(names) <= set(SETS):
            raise ValueError(f"must be of {', '.join(SETS)}, with commas between")
        return value


class WhichQueue(Question):
    """The checks that are to be mended."""

    set: Literal["gate", "preflight"] = "gate"


class WhichCheck(Question):
    """One check of the gate."""

    check: str = Field(max_length=80)


class Judging(Question):
    """What is judged again: all of a profile, or one check, of which nothing is written."""

    profile: Profile | None = None
    check: str | None = Field(default=None, max_length=80)


def read_sets(call: Call) -> dict[str, Any]:
    """The document of each set, by name."""
    checks = RunChecks(call.bench, call.names["run"])
    read = {"gate": checks.gate, "preflight": checks.preflight, "verify": checks.verify}
    return {"run": call.names["run"], "sets": {name: read[name]() for name in call.query.set.split(",")}}


def read_repairs(call: Call) -> dict[str, Any]:
    """The repair queue."""
    return RunChecks(call.bench, call.names["run"]).repairs(call.query.set)


def explain(call: Call) -> dict[str, Any]:
    """One check with its evidence. Raises 404 for an id that no check has."""
    checks = RunChecks(call.bench, call.names["run"])
    name = require_check(call.query.check)
    try:
        return call.bench.memo.read(
            ("explain", checks.run, name), [checks.store.path(layout.GATE)], lambda: checks.explain(name)
        )
    except PicochatError as err:
        raise Problem(409, err.code, err.detail, why=err.why, fix=err.fix) from None


def require_check(name: str) -> str:
    """Raises 404."""
    if name not in CHECKS:
        raise Problem(404, "gate.check", "there is no check of that id", fix="picochat gate RUN lists them")
    return name


def judge_again(call: Call) -> Accepted:
    """Starts `picochat gate`, which needs no training and no GPU; one check alone is explained, and nothing written."""
    checks = RunChecks(call.bench, call.names["run"])
    words = ["gate", checks.run]
    title = "Judge again"
    if call.body.profile is not None:
        words += ["--profile", call.body.profile]
    if call.body.check is not None:
        words += ["--explain", require_check(call.body.check)]
        title = f"Judge {call.body.check} again"
    process = call.bench.processes.start([*words, "--json"], run=call.names["run"], title=title)
    return Accepted({"process": process.id})


ROUTES = [
    Route(
        "GET",
        "api/runs/{run}/checks",
        read_sets,
        "Gate, preflight and verification",
        "picochat gate RUN --json",
        WhichSets,
    ),
    Route("GET", "api/runs/{run}/repair", read_repairs, "What mends a run, in order", "picochat gate RUN", WhichQueue),
    Route("GET", "api/runs/{run}/explain", explain, "One check", "picochat gate RUN --explain CHECK", WhichCheck),
    Route("POST", "api/runs/{run}/gate", judge_again, "Judge again", "picochat gate RUN", body=Judging),
]
