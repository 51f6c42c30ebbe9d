"""Which verdict stands for some weights: the one word that serve, chat and export show, never without its reason.

approved, warn, blocked   gate.json judged exactly these weights, and what it judged is unchanged
stale                     it judged them, but an input of the verdict is gone or has changed since
not_run                   there is no gate.json, it cannot be read, or it judged other weights
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import read_json

VERDICTS = ("approved", "warn", "blocked")
STALE = "stale"
NOT_RUN = "not_run"


class ServedVerdict(NamedTuple):
    """`word` is one of the five above; `profile` (name/version) is None where nothing was judged."""

    word: str
    profile: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.word} under {self.profile}" if self.profile else f"{self.word}: {self.reason}"


def read_served_verdict(root: Path, weights_digest: str) -> ServedVerdict:
    """The verdict of the run folder `root` for these weights. Re-hashes what the gate judged; raises nothing."""
    gate = _read_gate(root / layout.GATE)
    if isinstance(gate, str):
        return ServedVerdict(NOT_RUN, None, gate)
    judged = gate["weights_digest"]
    if judged != weights_digest:
        detail = f"the gate judged weights {judged[:12]}, these are {weights_digest[:12]}"
        return ServedVerdict(NOT_RUN, None, detail)
    profile = f"{gate['profile']}/{gate['profile_version']}"
    changed = [found for found in (_difference(root, ref) for ref in gate["manifest"]["inputs"]) if found]
    if changed:
        return ServedVerdict(STALE, profile, f"since the verdict {changed[0]} ({len(changed)} in all)")
    return ServedVerdict(gate["verdict"], profile, f"{layout.GATE} judged exactly these weights")


def _read_gate(path: Path) -> dict[str, Any] | str:
    """The document, or why there is none to believe."""
    if not path.exists():
        return "there is no gate.json: nothing was judged"
    try:
        gate = read_json(path)
    except PicochatError as err:
        return err.detail
    shape = {"verdict": str, "weights_digest": str, "profile": str, "profile_version": int, "manifest": dict}
    if not isinstance(gate, dict) or not all(isinstance(gate.get(key), kind) for key, kind in shape.items()):
        return "gate.json is not a verdict of this version"
    refs = gate["manifest"].get("inputs")
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        return "gate.json names no inputs"
    if gate["verdict"] not in VERDICTS or gate.get("self_digest") != self_digest(gate):
        return "gate.json does not carry its own digest"
    return gate


def _difference(root: Path, ref: dict[str, Any]) -> str | None:
    """What changed of one judged file: "file is gone" or "file has changed"; None when nothing did."""
    name = str(ref.get("path"))
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        return f"{name} lies outside of the run"
    try:
        same = sha256_file(path) == ref.get("sha256")
    except (OSError, PicochatError):
        return f"{name} is gone"
    return None if same else f"{name} has changed"
