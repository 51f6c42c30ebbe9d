"""Verify, for the exports in a run: every file hashed again, every proof judged again, the weights still the run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.export_record import ExportFolder, inspect_export
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.export_parity import LEADING, judge_parity
from picochat.judgement.findings import finding, short

CHECK = "verify.export"


def check_exports(evidence: RunEvidence) -> Iterator[CheckResult]:
    """One result a fault, one pass a whole export; nothing for a run without exports. A bundle holds none."""
    base = evidence.store.path(layout.EXPORT)
    folders = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    for folder in folders:
        relative = str(folder.relative_to(evidence.store.root))
        if not layout.is_live(relative):
            yield from _check(evidence, folder, relative)


def _check(evidence: RunEvidence, folder: Path, relative: str) -> Iterator[CheckResult]:
    found = inspect_export(folder)
    for name, problem in found.problems:
        yield finding(CHECK, f"{relative}/{name}", problem, f"{relative}/{layout.EXPORT_MANIFEST}")
    for name in found.extra:
        yield finding(CHECK, f"{relative}/{name}", "is not listed in the record of the export", verdict="warn")
    if found.record is None or found.problems:
        return
    if fault := _judged_otherwise(folder, found):
        yield finding(CHECK, f"{relative}/{layout.PARITY}", fault)
        return
    held = evidence.weights.manifest
    if held is not None and held.weights_digest != found.record.weights_digest:
        exported, now = short(found.record.weights_digest), short(held.weights_digest)
        yield finding(
            CHECK, f"{relative}/{layout.EXPORT_MANIFEST}", f"of other weights: {exported}", now, verdict="warn"
        )
        return
    text = f"{len(found.record.manifest.outputs)} files, parity {found.record.parity.verdict}"
    yield finding(CHECK, f"{relative}/{layout.EXPORT_MANIFEST}", text, verdict="pass")


def _judged_otherwise(folder: Path, found: ExportFolder) -> str:
    """Whether the verdict of the record follows from the numbers of the proof."""
    record = found.record
    assert record is not None
    if record.kind not in LEADING:
        return f"{record.kind} is no kind of export"
    try:
        now = judge_parity(record.kind, read_json(folder / layout.PARITY))
    except (PicochatError, KeyError, TypeError, IndexError) as err:
        return f"cannot be judged: {err}"
    return "" if now == record.parity else f"is judged {now.verdict}, {record.parity.verdict} is recorded"
