"""Checks that need files which a copy of a run may lack: their stored results stand, and are said to stand unjudged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core.errors import PicochatError
from picochat.judgement.documents import Document
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.findings import finding
from picochat.judgement.recount import counts_less
from picochat.judgement.rescan import has_own_rules

_TEXT = (layout.CORPUS, layout.CORPUS_DOCUMENTS)
_SEARCHED = ("honesty.corpus", "honesty.sft", "honesty.heldout", "honesty.benchmarks")
NEEDS = {
    "base.beats_ngram": _TEXT,
    "data.split_leak": (*_TEXT, f"{layout.SHARDS}/"),
    "honesty.extractable": _TEXT,
    **dict.fromkeys(_SEARCHED, _TEXT),
    "honesty.exposure": _TEXT,
}
"""By check: the files whose content its rule reads and that a bundle may leave out. A name that ends in / begins
others. Every other rule reads only what each bundle holds."""
REPORTED: dict[str, Callable[[RunEvidence], bool]] = {"base.beats_ngram": counts_less} | dict.fromkeys(
    _SEARCHED, has_own_rules
)
"""Checks of NEEDS that a report alone answers in the same way, unless this is so of the run."""


def lacking(evidence: RunEvidence, check: str) -> list[str]:
    """Files that a check needs and that were left out."""
    if check in REPORTED and not REPORTED[check](evidence):
        return []
    return [
        path
        for path in sorted(evidence.left_out)
        for name in NEEDS.get(check, ())
        if (path == name or (name.endswith("/") and path.startswith(name))) and not evidence.store.has(path)
    ]


def carried_results(evidence: RunEvidence, gate: Document) -> dict[str, CheckResult]:
    """The stored results of the checks that cannot be judged again here; a malformed one is not carried."""
    found: dict[str, CheckResult] = {}
    for entry in [*_list(gate.value("checks")), *_list(gate.value("shown"))]:
        check = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(check, str) and lacking(evidence, check):
            try:
                found[check] = CheckResult.from_json(entry, check)
            except PicochatError:
                continue
    return found


def not_judged_again(result: CheckResult, evidence: RunEvidence) -> CheckResult:
    """What verify says of a result that it takes from the gate as it stands there."""
    missing = lacking(evidence, result.id)
    text = f"{result.id} was not judged again: {missing[0]} was left out"
    return finding("verify.left_out", layout.GATE, text, verdict="not_run", pointer=f"/checks/{result.id}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
