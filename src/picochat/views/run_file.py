"""Files of a run as a page reads them: no link is followed on the way, and whatever is wrong is a state, not an error.

open_file(root, "eval/rows.jsonl")     a regular file below the run, or OSError
read_artifact(root, "honesty.json")    Artifact: ready, missing, unreadable or changed
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json

State = Literal["ready", "missing", "unreadable", "changed", "stale"]
MAX_REPORT_BYTES = 64 * 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Artifact(NamedTuple):
    """A report as it lies there. `body` is {} unless the state is ready or changed."""

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


def open_file(root: Path, relative: str) -> BinaryIO:
    """A regular file below a folder. Raises OSError: it is not there, it is something else, or a link leads to it."""
    *folders, name = relative.split("/")
    descriptor = os.open(root, _OPEN | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, _OPEN | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        opened = os.open(name, _OPEN, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(f"{relative} is no regular file")
    return os.fdopen(opened, "rb")


def read_artifact(root: Path, relative: str, max_bytes: int = MAX_REPORT_BYTES) -> Artifact:
    """A JSON object of the run. `changed`: it carries a digest of itself that is not its own any more."""
    try:
        with open_file(root, relative) as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        return Artifact(relative, "missing", "there is no such file yet", {})
    except OSError as err:
        return Artifact(relative, "unreadable", err.strerror or "it is no regular file", {})
    try:
        body = parse_json(data, relative, max_bytes)
    except PicochatError as err:
        return Artifact(relative, "unreadable", err.detail, {})
    if not isinstance(body, dict):
        return Artifact(relative, "unreadable", "it holds no JSON object", {})
    if "self_digest" in body and not _is_own(body):
        return Artifact(relative, "changed", "it was changed after it was written", body)
    return Artifact(relative, "ready", "", body)


def _is_own(body: dict[str, Any]) -> bool:
    try:
        return body["self_digest"] == self_digest(body)
    except (ValueError, TypeError):
        return False


def value_at(obj: Any, *keys: str) -> Any:
    """What stands at a path of keys of nested objects, or None."""
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def number(value: Any) -> float | int | None:
    """A number; anything else is unknown."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else is none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def made_on(artifact: Artifact, weights_digest: str | None, named: Any) -> Artifact:
    """The artifact, `stale` where it speaks of other weights than those that lie in the run now."""
    if artifact.state != "ready" or weights_digest is None or named == weights_digest:
        return artifact
    why = f"measured on weights {str(named)[:12]}, now {weights_digest[:12]}"
    return artifact._replace(state="stale", why=why)


def weights_now(root: Path, stage: str) -> str | None:
    """Digest of the weights of a stage's checkpoint, as its manifest says; None without one that can be read."""
    found = read_artifact(root, f"{layout.checkpoint_dir(stage)}/{layout.CKPT_MANIFEST}")
    digest = found.value("weights_digest")
    return digest if isinstance(digest, str) else None
