"""Verify: every file hashed again, every number that can be computed computed again, the verdict judged again.

A changed byte in any file that is not live gives at least one block that names the file. Nothing is written.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import parse_day
from picochat.core.clock import utc_today
from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json
from picochat.judgement.carried import carried_results, not_judged_again
from picochat.judgement.chain import check_chain, check_manifest, count_links, iter_refs
from picochat.judgement.documents import Document, first_difference, load_document, same_numbers
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.exports import check_exports
from picochat.judgement.findings import finding, short
from picochat.judgement.gate import judge_evidence
from picochat.judgement.handover import build_handover
from picochat.judgement.history import check_history
from picochat.judgement.profile import PROFILES, load_profile
from picochat.judgement.recount import PART_BYTES, recount_as_asked
from picochat.judgement.registry import LATEST_VERSION
from picochat.judgement.rescan import MAX_BYTES, is_too_large
from picochat.judgement.summary import build_content, iter_files, listed_digests
from picochat.views.pages import render_pages

SHOWN_CHARS = 60
NOT_SHOWN = ("schema", "manifest", "self_digest", "artifacts")
"""What a summary has beside the content that follows from evidence and gate."""


def verify_run(
    store: RunStore,
    *,
    profiles: Path = PROFILES,
    today: datetime.date | None = None,
    watch: Callable[[int], None] | None = None,
) -> list[CheckResult]:
    """One result a broken link; when nothing is broken, one pass of `verify.chain` with the number of files.

    Inputs from outside the run that are not here are `not_run` with "external"; unlisted files warn. `today` is the
    day against which the waivers of the verdict are held, by default that of the clock. `watch` hears the size of each
    file after it was hashed.
    """
    return verify_evidence(RunEvidence(store, watch=watch), profiles=profiles, today=today)


def verify_evidence(
    evidence: RunEvidence, *, profiles: Path = PROFILES, today: datetime.date | None = None
) -> list[CheckResult]:
    """`verify_run` of evidence that may lack files on purpose: what needs them is `not_run`, everything else holds."""
    store = evidence.store
    gate = load_document(store, layout.GATE, "gate")
    summary = load_document(store, layout.SUMMARY, "summary")
    found = [*check_chain(evidence), *check_history(evidence), *check_exports(evidence)]
    found += _check_gate(evidence, gate, profiles, today or utc_today())
    found += _check_summary(evidence, gate, summary)
    broken = any(result.verdict == "block" for result in found)
    unproved = [*_list_external(evidence), *_list_bounded(evidence)]
    return found + unproved if broken else [_whole(evidence, summary), *found, *unproved]


def _whole(evidence: RunEvidence, summary: Document) -> CheckResult:
    n = max(count_links(evidence), len(listed_digests(summary.body))) - len(evidence.left_out)
    verdict = "pass" if n > 0 else "not_run"
    result = finding("verify.chain", layout.RUN, "0 broken links", inputs=(evidence.run_digest,), verdict=verdict)
    return result.model_copy(update={"n": n, "required": True})


def _check_gate(evidence: RunEvidence, gate: Document, profiles: Path, today: datetime.date) -> Iterator[CheckResult]:
    """gate.json against a gate judged now. Before the first judgement there is nothing to compare."""
    if not gate.present:
        yield finding("verify.gate", layout.GATE, "not judged yet", verdict="not_run")
        return
    if gate.problem or gate.manifest is None:
        yield finding("verify.gate", layout.GATE, gate.problem)
        return
    yield from check_manifest(evidence, layout.GATE, gate.manifest)
    carried = carried_results(evidence, gate)
    yield from (not_judged_again(result, evidence) for result in carried.values())
    try:
        version = gate.value("profile_version")
        version = version if isinstance(version, int) else LATEST_VERSION
        loaded = load_profile(str(gate.value("profile")), profiles, version)
        now = judge_evidence(evidence, loaded, carried, judged_on=_judged_on(gate))
    except PicochatError as err:
        yield finding("verify.gate", layout.GATE, err.detail, pointer="/profile")
        return
    stored = {key: value for key, value in gate.body.items() if key not in ("schema", "manifest", "self_digest")}
    for key in _differing(stored, now):
        yield _stale("verify.gate", layout.GATE, key, stored.get(key), now.get(key))
    yield from _check_expired(now, today)


def _judged_on(gate: Document) -> datetime.date | None:
    """The day that a verdict says it was given on; only one with waivers says any."""
    day = gate.value("judged_on")
    try:
        return parse_day(day) if isinstance(day, str) else None
    except ValueError:
        return None


def _check_expired(now: dict[str, Any], today: datetime.date) -> Iterator[CheckResult]:
    """Waivers that the verdict rests on and that have run out since it was given."""
    for place, waiver in enumerate(now.get("waivers", ())):
        if waiver["effect"] == "waives" and parse_day(waiver["until"]) < today:
            text = f"stale: the waiver of {waiver['check']} by {waiver['by']} held until {waiver['until']}"
            expected = f"a verdict of {today.isoformat()}"
            yield finding("verify.gate", layout.GATE, text, expected, pointer=f"/waivers/{place}")


def _check_summary(evidence: RunEvidence, gate: Document, summary: Document) -> Iterator[CheckResult]:
    if not summary.present:
        judged = gate.present or any(map(evidence.store.has, layout.PAGES))
        yield finding(
            "verify.summary",
            layout.SUMMARY,
            "missing" if judged else "not summarised yet",
            verdict="block" if judged else "not_run",
        )
        return
    if summary.problem or summary.manifest is None:
        yield finding("verify.summary", layout.SUMMARY, summary.problem)
        return
    if summary.value("self_digest") != self_digest(summary.body):
        yield finding(
            "verify.summary",
            layout.SUMMARY,
            "was changed after it was written",
            short(str(summary.value("self_digest"))),
            pointer="/self_digest",
        )
    yield from check_manifest(evidence, layout.SUMMARY, summary.manifest)
    yield from _check_listed(evidence, summary)
    yield from _check_content(evidence, gate, summary)


def _check_listed(evidence: RunEvidence, summary: Document) -> Iterator[CheckResult]:
    """Every listed file is there with its bytes; every file is listed."""
    listed = listed_digests(summary.body)
    for path, recorded in listed.items():
        now = evidence.digest(path)
        if now is None:
            yield finding("verify.chain", path, f"missing, {layout.SUMMARY} lists it", short(str(recorded[1])))
        elif now != recorded:
            yield finding("verify.chain", path, short(now.sha256), f"{short(str(recorded[1]))} in {layout.SUMMARY}")
    for path in iter_files(evidence.store.root):
        if path not in listed and path != layout.SUMMARY:
            yield finding("verify.unlisted", path, f"not listed in {layout.SUMMARY}", verdict="warn")


def _check_content(evidence: RunEvidence, gate: Document, summary: Document) -> Iterator[CheckResult]:
    """The shown numbers follow from the evidence and the gate, and the pages from the shown numbers."""
    if gate.usable:
        try:
            content = build_content(evidence, gate.body)
        except (KeyError, TypeError):
            content = {}
        shown = {key: value for key, value in summary.body.items() if key not in NOT_SHOWN}
        for key in _differing(shown, content):
            yield _stale("verify.summary", layout.SUMMARY, key, shown.get(key), content.get(key))
    yield from _check_pages(evidence, summary)


def _check_pages(evidence: RunEvidence, summary: Document) -> Iterator[CheckResult]:
    """Each page is what the artifacts render to."""
    try:
        pages = render_pages(summary.body, build_handover(evidence))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        pages = dict.fromkeys(layout.PAGES, "")
    for path, text in pages.items():
        try:
            same = text != "" and evidence.store.path(path).read_bytes() == text.encode()
        except OSError:
            same = False
        if not same:
            yield finding("verify.summary", path, "is not what the artifacts render to", layout.SUMMARY)


def _list_external(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Inputs from outside the run that are not on this machine: named, not judged."""
    absent = {ref.path: ref for _, ref in iter_refs(evidence) if ref.external and evidence.digest_of_ref(ref) is None}
    for path, ref in sorted(absent.items()):
        yield finding("verify.external", path, "external", short(ref.sha256), verdict="not_run", inputs=(ref.sha256,))


def _list_bounded(evidence: RunEvidence) -> Iterator[CheckResult]:
    """What a gate takes from a report because the text is too large to go through it again."""
    if is_too_large(evidence):
        text = f"not searched again: corpus and chat rows have over {MAX_BYTES:,} bytes"
        yield finding("verify.bounded", layout.HONESTY, text, verdict="not_run")
    counted = recount_as_asked(evidence)
    if counted and not counted.whole:
        text = f"baselines counted again on {PART_BYTES:,} bytes of each side: they are no higher than these allow"
        yield finding("verify.bounded", layout.TOKENIZER_REPORT, text, verdict="not_run", pointer="/baselines")


def _differing(stored: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [key for key in sorted(stored.keys() | now.keys()) if not same_numbers(stored.get(key), now.get(key))]


def _stale(check: str, file: str, key: str, stored: Any, now: Any) -> CheckResult:
    """A finding that shows the first number or word that does not follow from the evidence any more."""
    pointer, old, new = first_difference(stored, now, f"/{key}")
    return finding(check, file, f"{pointer}: {_shown(old)} is stored", f"{_shown(new)} follows now", pointer=f"/{key}")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode() if value is not None else "nothing"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
