"""Verify of an imported model: its record, every file that it names, and its checkpoint; nothing in it was judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.import_record import ImportRecord, load_import
from picochat.artifacts.reports import FileRef
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.judgement.findings import finding, short


def verify_import(root: Path) -> list[CheckResult]:
    """One result a broken link; when nothing is broken, one pass of `verify.chain` with the number of files.

    Files that the record does not name warn. The folder that was imported is not looked for.
    """
    try:
        record = load_import(root)
    except PicochatError as err:
        return [finding("verify.chain", layout.IMPORT, err.detail)]
    found = [*_check_files(root, record), *_check_checkpoint(root, record)]
    unlisted = list(_list_unlisted(root, record))
    return [*found, *unlisted] if found else [_whole(record), *unlisted]


def _whole(record: ImportRecord) -> CheckResult:
    whole = finding("verify.chain", layout.IMPORT, "0 broken links", inputs=(record.self_digest,), verdict="pass")
    return whole.model_copy(update={"n": len(record.outputs) + 1, "required": True})


def _check_files(root: Path, record: ImportRecord) -> Iterator[CheckResult]:
    for ref in record.outputs:
        now = _digest(root, ref)
        if now is None:
            yield finding("verify.chain", ref.path, f"missing, {layout.IMPORT} names it", short(ref.sha256))
        elif now != ref.sha256:
            yield finding("verify.chain", ref.path, short(now), f"{short(ref.sha256)} in {layout.IMPORT}")


def _digest(root: Path, ref: FileRef) -> str | None:
    """None for a file that is not there, and for a name that leads out of the folder."""
    path = root / ref.path
    if ref.external or not path.resolve().is_relative_to(root.resolve()):
        return None
    try:
        return sha256_file(path)
    except (OSError, PicochatError):
        return None


def _check_checkpoint(root: Path, record: ImportRecord) -> Iterator[CheckResult]:
    folder = layout.checkpoint_dir(layout.IMPORTED)
    try:
        manifest = check_checkpoint_files(root / folder)
    except PicochatError as err:
        yield finding("verify.checkpoint", folder, err.detail)
        return
    said = (record.weights_digest, record.source_digest)
    for here, recorded in zip((manifest.weights_digest, manifest.run_digest), said, strict=True):
        if here != recorded:
            yield finding("verify.checkpoint", folder, short(here), f"{short(recorded)} in {layout.IMPORT}")


def _list_unlisted(root: Path, record: ImportRecord) -> Iterator[CheckResult]:
    listed = {ref.path for ref in record.outputs} | {layout.IMPORT}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if name not in listed and not layout.is_live(name):
            yield finding("verify.unlisted", name, f"not listed in {layout.IMPORT}", verdict="warn")
