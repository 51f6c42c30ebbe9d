"""A report of a run as a page reads it: whatever is wrong with it is a state, not an error.

read_artifact(root, "honesty.json")    Artifact: ready, missing, unreadable, changed; made_on adds stale
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.views.reading import MISSING, PRESENT, find_document, value_at

State = Literal["ready", "missing", "unreadable", "changed", "stale"]
MAX_REPORT_BYTES = 64 * 1024 * 1024
NOT_YET = "there is no such file yet"


class Artifact(NamedTuple):
    """A report as it lies there. `body` is {} where it is missing or unreadable."""

    path: str
    state: State
    why: str
    body: dict[str, Any]

    @property
    def shown(self) -> dict[str, str]:
        """What a page says about the file itself."""
        return {"artifact": self.path, "state": self.state, "why": self.why}

    def value(self, *keys: str) -> Any:
        """What stands at a path of keys, or None."""
        return value_at(self.body, *keys)


def read_artifact(root: Path, relative: str, max_bytes: int = MAX_REPORT_BYTES) -> Artifact:
    """A JSON object of the run. `changed`: it carries a digest of itself that is not its own any more."""
    found = find_document(root, relative, max_bytes)
    if found.state != PRESENT:
        missing = found.state == MISSING
        return Artifact(relative, "missing" if missing else "unreadable", NOT_YET if missing else found.why, {})
    if "self_digest" in found.body and found.body["self_digest"] != self_digest(found.body):
        return Artifact(relative, "changed", "it was changed after it was written", found.body)
    return Artifact(relative, "ready", "", found.body)


def made_on(artifact: Artifact, weights_digest: str | None, named: Any) -> Artifact:
    """The artifact, `stale` where it speaks of other weights than those that lie in the run now."""
    if artifact.state != "ready" or weights_digest is None or named == weights_digest:
        return artifact
    why = f"measured on weights {str(named)[:12]}, now {weights_digest[:12]}"
    return artifact._replace(state="stale", why=why)


def weights_now(root: Path, stage: str) -> str | None:
    """Digest of the weights of a stage's checkpoint, as its manifest says; None without one that can be read."""
    found = find_document(root, f"{layout.checkpoint_dir(stage)}/{layout.CKPT_MANIFEST}", MAX_REPORT_BYTES)
    digest = found.value("weights_digest")
    return digest if isinstance(digest, str) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else is none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
