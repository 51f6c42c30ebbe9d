"""The body of summary.json: what was judged, what was measured, and the digest of every file of the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_file
from picochat.judgement.documents import value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.facts import build_facts

_GATE_KEYS = ("verdict", "profile", "profile_version", "weights_digest", "not_judged", "failpoints", "shown")
WAIVER_KEYS = ("waivers", "judged_on")
"""What a gate says only of a run with waivers."""
_ORDER = {"not_run": 0, "block": 1, "warn": 2, "waived": 3, "pass": 4}


def build_content(evidence: RunEvidence, gate: dict[str, Any]) -> dict[str, Any]:
    """Everything that summary.md shows: the facts, and the gate's results with what was not run first."""
    checks = sorted(gate["checks"], key=lambda check: _ORDER[check["verdict"]])
    missing = [check["id"] for check in [*checks, *gate["shown"]] if check["verdict"] == "not_run"]
    return {
        "facts": build_facts(evidence),
        "not_run": missing,
        "checks": checks,
        **{key: gate[key] for key in _GATE_KEYS},
        **{key: gate[key] for key in WAIVER_KEYS if key in gate},
    }


def list_artifacts(store: RunStore) -> list[dict[str, Any]]:
    """Path, size and sha256 of every file of the run that does not live, but for summary.json itself."""
    return [
        {"path": path, "bytes": store.path(path).stat().st_size, "sha256": sha256_file(store.path(path))}
        for path in iter_files(store.root)
        if path != layout.SUMMARY
    ]


def iter_files(root: Path) -> list[str]:
    """All files below a run that are not live, links included, in the order of their names.

    Exports are left out: no verdict rests on them, they come and go, and each has a record of its own.
    """
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
    relative = sorted(str(path.relative_to(root)) for path in found)
    return [path for path in relative if not layout.is_live(path) and not path.startswith(f"{layout.EXPORT}/")]


def listed_digests(document: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """(bytes, sha256) by path, as the summary lists them."""
    entries = value_at(document, "artifacts")
    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(row.get("path")): (row.get("bytes"), row.get("sha256")) for row in rows}
