"""What a forger with the source code does after a change: every list of digests is made to fit again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.stage_reports import SCHEMAS
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import parse_json, pretty_json

Body = dict[str, Any]


def edit(root: Path, name: str, change: Callable[[Body], object]) -> None:
    """Changes a JSON document and makes its own digest fit, where it has one."""
    path = root / name
    document = parse_json(path.read_bytes(), name)
    change(document)
    if "self_digest" in document:
        document["self_digest"] = self_digest(document)
    path.write_bytes(pretty_json(document))


def sign_again(root: Path) -> None:
    """The manifests of all reports name the files as they lie there now, from the first stage to the last.

    Gate and summary stay as they are: a verdict is computed again anyway.
    """
    for name in _reports(root):
        edit(root, name, lambda document: _fit(root, document["manifest"]))


def _reports(root: Path) -> Iterator[str]:
    first = [layout.CORPUS_MANIFEST, layout.TOKENIZER_REPORT, layout.SHARDS_MANIFEST]
    last = [layout.MEMORISATION, layout.HONESTY]
    found = sorted(str(path.relative_to(root)) for path in (root / layout.BENCHMARKS).glob(f"*/{layout.REPORT}"))
    stages = [name for name in SCHEMAS if name not in first]
    yield from (name for name in (*first, *stages, *found, *last) if (root / name).is_file())


def _fit(root: Path, manifest: Body) -> None:
    manifest["run_digest"] = sha256_file(root / layout.RUN)
    for ref in (*manifest["inputs"], *manifest["outputs"]):
        path = Path(ref["path"]) if ref["external"] else root / ref["path"]
        if path.is_file():
            ref.update(bytes=path.stat().st_size, sha256=sha256_file(path))
