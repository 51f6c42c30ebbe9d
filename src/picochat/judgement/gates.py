"""Two runs, judged now under one profile, check by check: the verdicts, the numbers, and what differs between them.

Rates are only set against each other when both runs were asked the same rows.
"""

from __future__ import annotations

import datetime
from typing import Any, Literal

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.judgement.documents import same_numbers
from picochat.judgement.eval_sets import SOURCES
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_evidence
from picochat.judgement.profile import load_profile

Result = dict[str, Any]
Change = Literal["verdict", "measured", "none", "other rows"]
_ORDER: tuple[Change, ...] = ("verdict", "measured", "none", "other rows")
_SIDE = ("verdict", "measured", "threshold", "n", "interval", "waiver")


def compare_gates(first: RunStore, second: RunStore, profile: str, today: datetime.date) -> dict[str, Any]:
    """Both gates as JSON: the checks whose verdict changed first, then those with another number, rates of other rows
    last.

    `other_rows` names the sets of rows that differ; the rates of these have no `difference`.
    Raises `gate.profile` for an unknown profile.
    """
    loaded = load_profile(profile)
    evidence = [RunEvidence(store) for store in (first, second)]
    bodies = [judge_evidence(one, loaded, judged_on=today) for one in evidence]
    other = {name: _digests(evidence, source) for name, source in SOURCES.items()}
    other = {name: digests for name, digests in other.items() if digests[0] is None or digests[0] != digests[1]}
    unranked = {one.eval_sets[name].path for one in evidence for name in other}
    results = [{check["id"]: check for check in (*body["checks"], *body["shown"])} for body in bodies]
    shown = {check["id"] for check in bodies[0]["shown"]}
    rows = [
        _compare(check, results[0][check], results[1][check], unranked) | {"shown": check in shown}
        for check in results[0]
    ]
    return {
        "profile": profile,
        "profile_version": loaded.profile.version,
        "runs": [_side(store, one, body) for store, one, body in zip((first, second), evidence, bodies, strict=True)],
        "other_rows": other,
        "checks": sorted(rows, key=lambda row: _ORDER.index(row["change"])),
    }


def _digests(evidence: list[RunEvidence], source: str) -> list[str | None]:
    found = [one.digest(source) for one in evidence]
    return [digest.sha256 if digest else None for digest in found]


def _side(store: RunStore, evidence: RunEvidence, body: dict[str, Any]) -> dict[str, Any]:
    digest = evidence.digest(layout.CHAT_EVAL)
    name = evidence.run.name if evidence.run else store.root.name
    return {
        "path": str(store.root),
        "name": name,
        "verdict": body["verdict"],
        "weights_digest": body["weights_digest"],
        "eval_rows": digest.sha256 if digest else None,
    }


def _compare(check: str, first: Result, second: Result, unranked: set[str]) -> dict[str, Any]:
    """`difference` is second - first in the check's unit; null where a number is missing or asked other rows."""
    comparable = not any(place["artifact"] in unranked for side in (first, second) for place in side["evidence"])
    values = [side["measured"] for side in (first, second)]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    change: Change = "none" if same_numbers(*values) else "measured"
    change = "verdict" if first["verdict"] != second["verdict"] else change
    change = change if comparable else "other rows"
    return {
        "id": check,
        "unit": first["unit"],
        "direction": first["direction"],
        "change": change,
        "difference": values[1] - values[0] if numbers and comparable else None,
        "first": {key: first.get(key) for key in _SIDE},
        "second": {key: second.get(key) for key in _SIDE},
    }
