"""One check of one run, explained from artifacts: what it asks, what was measured, where that stands, what it lacks.

Nothing is written, and nothing is taken from gate.json: the check is judged as a gate would judge it now.
"""

from __future__ import annotations

import datetime
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, iter_jsonl, read_json
from picochat.evals.statistics import chance_adjusted_interval, passes_needed, wilson
from picochat.judgement.documents import same_numbers, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_check, list_broken
from picochat.judgement.profile import LoadedProfile, load_profile
from picochat.judgement.registry import CHECKS, PROFILE_NAMES
from picochat.judgement.rules.case import Case
from picochat.judgement.waivers import apply_waivers, is_waivable

MAX_FOUND_BYTES = 2000
HITS = 3
_SETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "honesty.corpus": (("eval", "heldout"), ("corpus",)),
    "honesty.sft": (("eval",), ("sft",)),
    "honesty.heldout": (("heldout",), ("sft",)),
    "honesty.benchmarks": ((f"{layout.BENCHMARKS}/",), ("corpus", "sft")),
}
"""By contamination check: the sets whose items it counts, and the texts in which they are looked for. A name that ends
in / begins others."""


def explain_check(
    evidence: RunEvidence, profile: str, check: str, today: datetime.date, hits: int = HITS
) -> dict[str, Any]:
    """Everything known of a check, as JSON. `result` is null where the profile does not judge it.

    `check` is an id of the registry. Raises `gate.profile` for an unknown profile.
    """
    loaded = load_profile(profile)
    result, waiver = _judge(evidence, loaded, check, today)
    about = {"profile": profile, "profile_version": loaded.profile.version}
    return explain_result(evidence, check, result, waiver, hits=hits) | about


def explain_result(
    evidence: RunEvidence,
    check: str,
    result: CheckResult | None,
    waiver: dict[str, Any] | None,
    *,
    hits: int = HITS,
    most_bytes: int | None = None,
) -> dict[str, Any]:
    """What is known around a result that was judged before, without judging it again.

    `most_bytes`: a larger file is named and not read, so that a page does not wait for a corpus.
    """
    facts = CHECKS[check]
    places = result.evidence if result else ()
    return {
        "check": check,
        **{key: getattr(facts, key) for key in ("title", "why", "fix", "unit", "direction")},
        "run": evidence.run.name if evidence.run else None,
        "result": result.to_json() if result else None,
        "profiles": [_asked(load_profile(name), check) for name in PROFILE_NAMES],
        "passes": _passes(evidence, result) if result else None,
        "evidence": [_look_up(evidence, place.artifact, place.pointer, most_bytes) for place in places],
        "waivable": is_waivable(check),
        "waiver": waiver,
        "hits": _hits(evidence, check, hits) if check in _SETS else None,
    }


def _judge(
    evidence: RunEvidence, loaded: LoadedProfile, check: str, today: datetime.date
) -> tuple[CheckResult | None, dict[str, Any] | None]:
    """The result with its waiver, as it would stand in gate.json; shown ones too, which nobody can waive."""
    row = next((row for row in loaded.profile.checks if row.id == check), None)
    result = judge_check(Case(evidence, row, loaded, list_broken(evidence, check))) if row else None
    judged = {check: result} if row and result and row.column != "shown" else {}
    results, waivers = apply_waivers(evidence, judged, today)
    waiver = next((entry for entry in waivers if entry["check"] == check), None)
    return (results[0] if results else result), waiver


def _asked(loaded: LoadedProfile, check: str) -> dict[str, Any]:
    """What one profile asks: its column and thresholds, or that it does not judge the check."""
    row = next((row for row in loaded.profile.checks if row.id == check), None)
    keys = ("column", "threshold", "warn_at", "warn_below", "minimum_n", "baseline")
    asked = {key: getattr(row, key) if row else None for key in keys}
    return {"profile": loaded.profile.name, "version": loaded.profile.version, **asked}


def _passes(evidence: RunEvidence, result: CheckResult) -> dict[str, Any] | None:
    """For a rate: how many of its n passed, and how many have to for a pass; None for any other number.

    A rate is known by its interval: it is the Wilson interval of whole passes of n.
    """
    if result.id == "eval.choice_adjusted":
        return _adjusted_passes(evidence, result)
    if not isinstance(result.measured, float) or not result.n or not 0 <= result.measured <= 1:
        return None
    k = round(result.measured * result.n)
    if not same_numbers(wilson(k, result.n), result.interval):
        return None
    return _needed(k, result.n, result.threshold, result.direction)


def _adjusted_passes(evidence: RunEvidence, result: CheckResult) -> dict[str, Any] | None:
    """Choice is shown above chance and judged on the raw scale."""
    choice = value_at(evidence.eval_sets["eval"].summary, "choice")
    if not choice or not isinstance(result.threshold, float) or result.interval is None:
        return None
    if not same_numbers(chance_adjusted_interval(wilson(choice["k"], choice["n"]), choice["chance"]), result.interval):
        return None
    raw = choice["chance"] + result.threshold * (1 - choice["chance"])
    return _needed(choice["k"], choice["n"], raw, result.direction)


def _needed(k: int, n: int, threshold: Any, direction: str) -> dict[str, Any] | None:
    if direction not in (">=", "<=") or not isinstance(threshold, float):
        return None
    return {
        "k": k,
        "n": n,
        "needed": passes_needed(n, threshold, direction),
        "direction": direction,
        "threshold": threshold,
    }


def _look_up(evidence: RunEvidence, artifact: str, pointer: str, most_bytes: int | None) -> dict[str, Any]:
    """What stands at a place: the value at a pointer; of a whole file its size and digest."""
    place: dict[str, Any] = {"artifact": artifact, "pointer": pointer, "found": None, "problem": ""}
    path = evidence.store.path(artifact)
    if not path.resolve().is_relative_to(evidence.store.root.resolve()) or not path.is_file():
        return place | {"problem": "no file of this run"}
    if most_bytes is not None and (size := path.stat().st_size) > most_bytes:
        return place | {"problem": f"{size:,} bytes, too many to be read here"}
    digest = evidence.digest(artifact)
    place |= {"bytes": digest.bytes, "sha256": digest.sha256} if digest else {}
    if not pointer:
        return place
    try:
        found = _at_pointer(read_json(path), pointer)
    except PicochatError as err:
        return place | {"problem": err.detail}
    except (LookupError, TypeError, ValueError):
        return place | {"problem": "nothing stands there"}
    size = len(canonical_json(found))
    return place | ({"found": found} if size <= MAX_FOUND_BYTES else {"problem": f"{size:,} bytes of JSON"})


def _at_pointer(document: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901). Raises LookupError, TypeError or ValueError where there is none."""
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def _hits(evidence: RunEvidence, check: str, most: int) -> list[dict[str, Any]]:
    """The first lines of the list of hits that a check counts; a list that cannot be read has none."""
    sets, against = _SETS[check]
    found: list[dict[str, Any]] = []
    try:
        for line in iter_jsonl(evidence.store.path(layout.HONESTY_HITS)):
            name = str(value_at(line, "set"))
            counted = any(name == one or (one.endswith("/") and name.startswith(one)) for one in sets)
            if counted and value_at(line, "against") in against:
                found.append(line)
            if len(found) == most:
                break
    except (PicochatError, OSError):
        return found
    return found
