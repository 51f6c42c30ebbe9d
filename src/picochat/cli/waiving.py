"""Waivers from the command line: looked at before they are written, then the run is judged with them."""

from __future__ import annotations

import difflib

from pydantic import ValidationError

from picochat.artifacts.store import RunLock, RunStore
from picochat.artifacts.waivers import Waiver, read_waivers, write_waivers
from picochat.core.clock import utc_now, utc_today
from picochat.core.errors import refuse
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_one
from picochat.judgement.profile import load_profile
from picochat.judgement.registry import CHECKS
from picochat.judgement.waivers import require_waivable


def require_check(name: str) -> str:
    """The id of a check. Raises `gate.check` with the nearest spelling."""
    if name in CHECKS:
        return name
    near = difflib.get_close_matches(name, CHECKS, n=1)
    refuse("gate.check", f"there is no check {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def give_waiver(store: RunStore, profile: str, check: str, *, by: str, reason: str, until: str) -> Waiver:
    """Adds a waiver to waivers.json, in the place of an older one of the same check. The run is not judged here.

    Raises `gate.check` or `gate.waiver`, and `artifact.*` for a file that was edited by hand.
    """
    waiver = _build(require_check(check), by, reason, until)
    result = judge_one(RunEvidence(store), load_profile(profile), check)
    require_waivable(waiver, result, utc_today())
    with RunLock(store.root):
        write_waivers(store, [*(old for old in read_waivers(store) if old.check != check), waiver])
    return waiver


def take_back(store: RunStore, check: str) -> None:
    """Takes a waiver out of waivers.json; the old file keeps a numbered name. Raises as `give_waiver`."""
    with RunLock(store.root):
        waivers = read_waivers(store)
        if check not in {waiver.check for waiver in waivers}:
            there = ", ".join(waiver.check for waiver in waivers) or "no check"
            refuse("gate.waiver", f"{check} has no waiver; waived in this run: {there}", fix="name one of these")
        write_waivers(store, [waiver for waiver in waivers if waiver.check != check])


def _build(check: str, by: str, reason: str, until: str) -> Waiver:
    try:
        return Waiver(check=check, by=by.strip(), reason=reason.strip(), until=until, given_at=utc_now())
    except ValidationError as err:
        first = err.errors()[0]
        refuse(
            "gate.waiver",
            f"--{first['loc'][0]} {first['input']!r}: {first['msg']}",
            fix="picochat gate RUN --waive CHECK --by NAME --reason TEXT --until YYYY-MM-DD",
        )
