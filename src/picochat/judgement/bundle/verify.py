"""Verify a bundle, with nothing but the bundle: what it holds is checked as in a run, what it leaves out is named."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from picochat.artifacts import layout
from picochat.artifacts.bundle_record import MAX_RECORD_BYTES, BundleRecord, parse_record
from picochat.artifacts.checks import CheckResult, Evidence
from picochat.artifacts.store import RunStore
from picochat.artifacts.tarball import extract, is_plain
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.units import format_bytes
from picochat.judgement.bundle.plan import kind_of
from picochat.judgement.bundle.signature import signature_problem
from picochat.judgement.documents import load_document
from picochat.judgement.evidence import FileDigest, RunEvidence
from picochat.judgement.findings import finding, short
from picochat.judgement.profile import PROFILES
from picochat.judgement.summary import listed_digests
from picochat.judgement.verify import verify_evidence

_OWN = frozenset({layout.BUNDLE, layout.BUNDLE_SIGNATURE})
_GATE = ("verdict", "profile", "profile_version", "weights_digest")


def is_bundle(path: Path) -> bool:
    """A file, or a folder with a record in it."""
    return path.is_file() or (path / layout.BUNDLE).exists()


def verify_bundle(path: Path, public_key: Path | None = None, *, profiles: Path = PROFILES) -> list[CheckResult]:
    """Results as of `verify_run`, those of the bundle itself first. Raises `bundle.tar` for an archive of another form,
    and `usage.*` or `bundle.key` for a key that cannot be used."""
    if path.is_dir():
        return _verify_folder(path, public_key, profiles)
    with tempfile.TemporaryDirectory(prefix="picochat-bundle-") as scratch:
        extract(path, Path(scratch))
        return _verify_folder(Path(scratch), public_key, profiles)


def _verify_folder(folder: Path, public_key: Path | None, profiles: Path) -> list[CheckResult]:
    """Nothing is read before every name is known to be a regular file."""
    if strange := list(_find_strange(folder)):
        return strange
    try:
        record = _read_record(folder)
    except PicochatError as err:
        return [finding("verify.bundle", layout.BUNDLE, err.detail)]
    own = [*_check_signature(folder, public_key), *_check_files(folder, record)]
    store = RunStore(folder / layout.BUNDLE_RUN)
    own += _check_claims(store, record)
    left_out = {file.path: FileDigest(file.bytes, file.sha256) for file in record.left_out}
    found = verify_evidence(RunEvidence(store, left_out), profiles=profiles)
    if any(result.verdict == "block" for result in own):
        found = [result for result in found if result.verdict != "pass"]
    return [*own, *found, *_name_left_out(record)]


def _name_left_out(record: BundleRecord) -> Iterator[CheckResult]:
    """One result a reason, with every file that it keeps out."""
    for reason in dict.fromkeys(file.reason for file in record.left_out):
        files = [file for file in record.left_out if file.reason == reason]
        size = format_bytes(sum(file.bytes for file in files))
        digests = tuple(file.sha256 for file in files)
        text = f"{len(files):,} files, {size}: {reason}"
        result = finding("verify.left_out", files[0].path, text, verdict="not_run", inputs=digests)
        yield result.model_copy(update={"evidence": tuple(Evidence(artifact=file.path) for file in files)})


def _find_strange(folder: Path) -> Iterator[CheckResult]:
    """Links, devices, pipes, and names that no bundle has."""
    for base, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(base) / name
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                yield finding("verify.bundle", relative, "is neither a regular file nor a folder")
            elif not is_plain(relative):
                yield finding("verify.bundle", relative, "is no name that a bundle has")


def _read_record(folder: Path) -> BundleRecord:
    path = folder / layout.BUNDLE
    try:
        with path.open("rb") as stream:
            return parse_record(stream.read(MAX_RECORD_BYTES + 1))
    except OSError:
        raise PicochatError("artifact.missing", "missing") from None


def _check_signature(folder: Path, public_key: Path | None) -> Iterator[CheckResult]:
    """Unsigned is said; a signature counts only under a key that the reader brings along."""
    signature = folder / layout.BUNDLE_SIGNATURE
    if public_key is None:
        text = "signed, and not checked: no --public-key was given" if signature.exists() else "unsigned"
        yield finding("verify.signature", layout.BUNDLE, text, verdict="not_run")
    elif not signature.exists():
        yield finding("verify.signature", layout.BUNDLE, "unsigned, and a signature was asked for")
    elif problem := signature_problem(folder / layout.BUNDLE, signature, public_key):
        yield finding("verify.signature", layout.BUNDLE_SIGNATURE, f"does not hold: {problem}")
    else:
        yield finding("verify.signature", layout.BUNDLE, f"signed by the key of {public_key.name}", verdict="pass")


def _check_files(folder: Path, record: BundleRecord) -> Iterator[CheckResult]:
    """The bundle holds exactly the files of its record."""
    listed = {f"{layout.BUNDLE_RUN}/{file.path}": file for file in record.files}
    if len(listed) != len(record.files):
        yield finding("verify.bundle", layout.BUNDLE, "lists a file twice", pointer="/files")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - _OWN
    for name in sorted(present - listed.keys()):
        yield finding("verify.bundle", name, f"not listed in {layout.BUNDLE}")
    for name, file in sorted(listed.items()):
        if name not in present:
            yield finding("verify.bundle", name, f"missing, {layout.BUNDLE} lists it", short(file.sha256))
            continue
        size, now = (folder / name).stat().st_size, sha256_file(folder / name)
        if (size, now) != (file.bytes, file.sha256):
            yield finding("verify.bundle", name, short(now), f"{short(file.sha256)} in {layout.BUNDLE}")


def _check_claims(store: RunStore, record: BundleRecord) -> Iterator[CheckResult]:
    """What the record says of run and verdict, and that nothing was left out which every bundle must hold."""
    gate, summary = load_document(store, layout.GATE, "gate"), load_document(store, layout.SUMMARY, "summary")
    for key in _GATE:
        if getattr(record, key) != gate.value(key):
            said, stands = getattr(record, key), gate.value(key)
            yield finding("verify.bundle", layout.BUNDLE, f"/{key}: {said}", f"{stands}", pointer=f"/{key}")
    if not store.has(layout.RUN) or store.run_digest() != record.run_digest:
        yield finding("verify.bundle", layout.BUNDLE, "speaks of another run", pointer="/run_digest")
    held = {file.path for file in record.files}
    listed = listed_digests(summary.body)
    for file in record.left_out:
        if file.path in held:
            yield finding("verify.bundle", file.path, "is both held and left out")
        elif kind_of(file.path) is None:
            yield finding("verify.bundle", file.path, "left out, and every bundle must hold it")
        elif listed.get(file.path) != (file.bytes, file.sha256):
            yield finding("verify.bundle", file.path, f"left out, and {layout.SUMMARY} does not list it so")
