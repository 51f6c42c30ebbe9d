"""Check results: the one type in which preflight, gate, verify, command line and pages speak."""

from __future__ import annotations

from typing import Any, Literal

from picochat.artifacts.schema import Record
from picochat.artifacts.waivers import Waiver

Verdict = Literal["pass", "warn", "block", "not_run", "waived"]
GateVerdict = Literal["approved", "warn", "blocked"]


class Evidence(Record):
    """Where the numbers stand: an artifact of the run and a JSON pointer into it."""

    artifact: str
    pointer: str = ""


class CheckResult(Record):
    """One judged fact, in numbers; `why` is its meaning for the user, `fix` the command or key that mends it."""

    id: str
    verdict: Verdict
    measured: float | str | bool | None = None
    threshold: float | str | bool | None = None
    direction: Literal[">=", "<=", "==", ""] = ""
    unit: str = ""
    n: int | None = None
    interval: tuple[float, float] | None = None
    required: bool = False
    why: str
    fix: str = ""
    evidence: tuple[Evidence, ...] = ()
    inputs: tuple[str, ...] = ()
    """Digests of what was judged: when they change, the result is stale."""
    waiver: Waiver | None = None
    """Of a result that is `waived`: who let it go, why, until when."""

    def to_json(self) -> dict[str, Any]:
        """Without `waiver` where there is none, so that what was judged before there were any reads the same."""
        found = super().to_json()
        if self.waiver is None:
            del found["waiver"]
        return found


def overall(checks: list[CheckResult]) -> GateVerdict:
    """Blocked when anything blocks or a required check did not run; warn when anything warns or is waived."""
    if any(c.verdict == "block" or (c.required and c.verdict == "not_run") for c in checks):
        return "blocked"
    return "warn" if any(c.verdict in ("warn", "waived") for c in checks) else "approved"
