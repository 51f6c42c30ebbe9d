"""What earlier summaries listed must still be there: under its name, or under the number it was archived with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.judgement.documents import value_at
from picochat.judgement.evidence import NUMBERED, RunEvidence
from picochat.judgement.findings import finding, short

_CHECKPOINTS = frozenset({layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS, layout.BEST, layout.KEPT})


def check_history(evidence: RunEvidence) -> list[CheckResult]:
    """Evidence that a summary of this run listed and that was changed or removed since, each once.

    Checkpoints and ledgers may grow when a training goes on; reports and rows are archived, never replaced.
    """
    found: dict[tuple[str, str], CheckResult] = {}
    for path, digest in _listed(evidence):
        if (path, digest) not in found and not _still_there(evidence, path, digest):
            found[path, digest] = finding(
                "verify.chain", path, "changed or removed since it was summarised", short(digest)
            )
    return list(found.values())


def _listed(evidence: RunEvidence) -> Iterator[tuple[str, str]]:
    for name in sorted([layout.SUMMARY, *evidence.archived(layout.SUMMARY)]):
        try:
            artifacts = value_at(read_json(evidence.store.path(name)), "artifacts")
        except PicochatError:
            continue
        for entry in artifacts if isinstance(artifacts, list) else []:
            path, digest = value_at(entry, "path"), value_at(entry, "sha256")
            if isinstance(path, str) and isinstance(digest, str) and _is_evidence(path):
                yield path, digest


def _is_evidence(path: str) -> bool:
    parts = PurePosixPath(path)
    judged = NUMBERED.sub("", path) in (layout.GATE, *layout.SUMMARY_FILES)
    return (
        not judged
        and not _CHECKPOINTS & set(parts.parts)
        and parts.name != layout.LEDGER
        and parts.name != layout.SAMPLES
    )


def _still_there(evidence: RunEvidence, path: str, digest: str) -> bool:
    found: list[Any] = [evidence.digest(name) for name in (path, *evidence.archived(path))]
    return any(entry is not None and entry.sha256 == digest for entry in found)
