"""Whether a verdict is about what lies on disk: recorded digests against the files, cheaply enough for a page.

A file is hashed once and again when its size, time or inode is another one. A large file that is not newer than the
verdict is believed by its size; one that is newer is hashed up to a limit, beyond which the page says that it was not.
`picochat verify` trusts none of this.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import read_json
from picochat.views.gate.check_sets import Freshness
from picochat.workbench.bench import is_kind
from picochat.workbench.memo import Memo

ALWAYS_BYTES = 64_000_000
"""Up to this size a file is hashed whenever it is another one than last time."""
NEWER_BYTES = 512_000_000
"""Up to this size a file that is newer than the verdict is hashed."""
Ref = Mapping[str, Any]


class Freshener:
    """Compares the files of one run with what a document says of them."""

    def __init__(self, store: RunStore, memo: Memo, document_path: str) -> None:
        self._store = store
        self._memo = memo
        self._own = document_path
        self._judged_ns = store.path(document_path).lstat().st_mtime_ns

    def compare(self, document: Mapping[str, Any]) -> Freshness:
        """What changed of the inputs that the document lists, of what their own manifests list, and of each row's."""
        refs = self._refs(document)
        found = {str(ref["path"]): self._difference(ref) for ref in refs}
        changed = [{"path": path, "how": how} for path, how in found.items() if how in ("changed", "gone")]
        unhashed = [path for path, how in found.items() if how == "not hashed"]
        rows = frozenset(check["id"] for check in document.get("checks", ()) if self._row_changed(check))
        return Freshness([*changed, *self._other_weights(document)], unhashed, len(found), rows)

    def _refs(self, document: Mapping[str, Any]) -> list[Ref]:
        """The listed inputs, then what lies behind them: a report names the corpus and the weights it was made from."""
        listed = _manifest_refs(document, ("inputs",))
        reports = [str(ref["path"]) for ref in listed if str(ref["path"]).endswith(".json")]
        behind = [ref for path in reports for ref in self._behind(path)]
        return list({str(ref["path"]): ref for ref in [*behind, *listed] if ref["path"] != self._own}.values())

    def _behind(self, relative: str) -> list[Ref]:
        path = self._inside(relative)
        if path is None:
            return []
        return self._memo.read(("behind", path), [path], lambda: _read_refs(path))

    def _inside(self, relative: str) -> Path | None:
        """A regular file of the run, reached through no link."""
        path = self._store.path(relative)
        try:
            inside = path.parent.resolve() == (self._store.root.resolve() / relative).parent
        except (OSError, ValueError):
            return None
        return path if inside and is_kind(path, stat.S_ISREG) else None

    def _difference(self, ref: Ref) -> str:
        """unchanged, changed, gone, external (not here), or not hashed."""
        external = bool(ref.get("external"))
        path = Path(str(ref["path"])) if external else self._inside(str(ref["path"]))
        if path is None or not is_kind(path, stat.S_ISREG):
            return "external" if external else "gone"
        facts = path.lstat()
        if facts.st_size != ref.get("bytes"):
            return "changed"
        digest = self._digest(path, facts)
        return "not hashed" if digest is None else "unchanged" if digest == ref.get("sha256") else "changed"

    def _digest(self, path: Path, facts: os.stat_result) -> str | None:
        newer = facts.st_mtime_ns > self._judged_ns
        if facts.st_size > (NEWER_BYTES if newer else ALWAYS_BYTES):
            return None
        return self._memo.read(("sha256", path), [path], lambda: _hash(path))

    def _row_changed(self, check: Mapping[str, Any]) -> bool:
        """Whether the files that a row was judged on are others than those whose digests it has."""
        names = dict.fromkeys(place["artifact"] for place in check["evidence"])
        paths = [self._inside(name) for name in names if name != self._own]
        digests = [self._digest(path, path.lstat()) for path in paths if path is not None]
        if self._own in names or None in digests:
            return not set(digests) - {None} <= set(check["inputs"])
        return set(digests) != set(check["inputs"])

    def _other_weights(self, document: Mapping[str, Any]) -> list[dict[str, str]]:
        """The judged checkpoint, when it holds other weights than the verdict speaks of."""
        judged, relative = document.get("weights_digest"), f"{layout.checkpoint_dir(layout.SFT)}/{layout.CKPT_MANIFEST}"
        path = self._inside(relative)
        if not isinstance(judged, str) or path is None:
            return []
        now = self._memo.read(("weights", path), [path], lambda: _weights_digest(path))
        return [] if now == judged else [{"path": relative, "how": f"names weights {str(now)[:12]}"}]


def _hash(path: Path) -> str:
    """No digest at all for a file that went away meanwhile."""
    try:
        return sha256_file(path)
    except (PicochatError, OSError):
        return ""


def _read_refs(path: Path) -> list[Ref]:
    try:
        return _manifest_refs(read_json(path), ("inputs", "outputs"))
    except (PicochatError, OSError):
        return []


def _weights_digest(path: Path) -> Any:
    try:
        document = read_json(path)
    except (PicochatError, OSError):
        return None
    return document.get("weights_digest") if isinstance(document, dict) else None


def _manifest_refs(document: Any, keys: Iterable[str]) -> list[Ref]:
    manifest = document.get("manifest") if isinstance(document, dict) else None
    lists = [manifest.get(key) for key in keys] if isinstance(manifest, dict) else []
    return [ref for refs in lists if isinstance(refs, list) for ref in refs if isinstance(ref, dict) and "path" in ref]
