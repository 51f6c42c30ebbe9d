"""A bundle verifies alone; each way of changing it turns it red; what is left out is named, never passed."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import judge

from picochat.artifacts import layout
from picochat.artifacts.bundle_record import BundleRecord
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.artifacts.tarball import write_tar
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import pretty_json
from picochat.judgement.bundle import signature
from picochat.judgement.bundle.plan import JUDGED_WEIGHTS, BundleOptions
from picochat.judgement.bundle.verify import is_bundle, verify_bundle
from picochat.judgement.bundle.write import write_bundle

Copy = Callable[[Path], Path]
TEXT = {"corpus.txt", "corpus_documents.bin"}
BASE_WEIGHTS = "base/checkpoint/model.safetensors"

UNJUDGED = {"data.split_leak", "honesty.extractable", "honesty.exposure"}
"""Checks that need the text."""


def make(root: Path, out: Path, **options: bool) -> BundleRecord:
    return write_bundle(RunStore(root), out, BundleOptions(**options))


@pytest.fixture(scope="module")
def bundled(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as a folder."""
    out = tmp_path_factory.mktemp("bundled") / "bundle"
    make(judged, out)
    return out


@pytest.fixture
def bundle(bundled: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(bundled, tmp_path / "bundle"))


def blocks(results: list[CheckResult]) -> set[tuple[str, str]]:
    return {(r.id, place.artifact) for r in results if r.verdict == "block" for place in r.evidence}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def resign(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """bundle.json changed and digested again, as whoever has the source code can do."""
    path = bundle / layout.BUNDLE
    document = json.loads(path.read_bytes())
    change(document)
    document["self_digest"] = self_digest(document)
    path.write_bytes(pretty_json(document))


def test_a_bundle_holds_what_a_reviewer_needs_and_verifies_alone(judged: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar"
    record = make(judged, out)
    held = {file.path for file in record.files}
    assert {"run.json", "gate.json", "summary.json", *layout.PAGES, "tokenizer.json", "chat/eval.jsonl"} <= held
    assert {"base/ledger.jsonl", "eval/rows.jsonl", "benchmarks/blimp/rows.jsonl", JUDGED_WEIGHTS} <= held
    assert {file.path for file in record.left_out} == TEXT | {BASE_WEIGHTS}
    results = verify_bundle(out)
    assert blocks(results) == set()
    whole = next(result for result in results if result.id == "verify.chain")
    assert whole.verdict == "pass" and whole.n == len(held) - 1
    left = [place.artifact for r in results if r.id == "verify.left_out" for place in r.evidence]
    assert sorted(left) == sorted([*TEXT, BASE_WEIGHTS, *[layout.GATE] * len(UNJUDGED)])
    assert all(result.verdict == "not_run" for result in results if result.id == "verify.left_out")
    gate = [r for r in results if r.id == "verify.left_out" and r.evidence[0].artifact == layout.GATE]
    assert {str(r.measured).partition(" was not judged again")[0] for r in gate} == UNJUDGED
    (signed,) = [result for result in results if result.id == "verify.signature"]
    assert (signed.verdict, signed.measured) == ("not_run", "unsigned")


def test_equal_runs_give_equal_bytes_wherever_they_lie(judged: Path, copy: Copy, tmp_path: Path) -> None:
    make(judged, tmp_path / "a.tar")
    elsewhere = copy(judged)
    os.utime(elsewhere / "gate.json", (1, 1))
    make(elsewhere, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_folder_and_archive_hold_the_same(judged: Path, bundled: Path, tmp_path: Path) -> None:
    make(judged, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert held == {name: (bundled / name).read_bytes() for name in names(bundled)}
    assert blocks(verify_bundle(bundled)) == set()
    assert is_bundle(bundled) and is_bundle(tmp_path / "a.tar") and not is_bundle(judged)


def test_options_take_in_and_leave_out(judged: Path, tmp_path: Path) -> None:
    with_text = make(judged, tmp_path / "a", corpus=True, shards=True)
    assert {file.path for file in with_text.left_out} == {BASE_WEIGHTS}
    results = verify_bundle(tmp_path / "a")
    assert blocks(results) == set() and not any("split_leak" in str(result.measured) for result in results)
    without = make(judged, tmp_path / "b", weights=False)
    assert {file.path for file in without.left_out} == TEXT | {BASE_WEIGHTS, JUDGED_WEIGHTS}
    assert blocks(verify_bundle(tmp_path / "b")) == set()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


FLIPPED = (
    "bundle.json", "run/run.json", "run/gate.json", "run/summary.json", "run/report.html", "run/model_card.md",
    "run/eval/rows.jsonl", "run/base/ledger.jsonl", "run/tokenizer.json", f"run/{JUDGED_WEIGHTS}",
    "run/base/checkpoint/MANIFEST.json", "run/benchmarks/blimp/rows.jsonl",
)  # fmt: skip


@pytest.mark.parametrize("name", FLIPPED)
def test_one_flipped_bit_is_found(bundle: Path, name: str) -> None:
    flip(bundle / name)
    assert name in {artifact for _, artifact in blocks(verify_bundle(bundle))}


def claim_absent(path: str) -> Callable[[Path], None]:
    """Takes a file out and says that it was left out."""

    def change(bundle: Path) -> None:
        (bundle / layout.BUNDLE_RUN / path).unlink()

        def move(document: dict[str, Any]) -> None:
            entry = next(file for file in document["files"] if file["path"] == path)
            document["files"].remove(entry)
            document["left_out"].append(entry | {"reason": "too large"})

        resign(bundle, move)

    return change


def replace_rows(bundle: Path) -> None:
    """Rows, with the record made to fit."""
    path = bundle / "run/eval/rows.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"fail"', b'"verdict":"pass"', 1))
    digest, size = sha256_file(path), path.stat().st_size

    def change(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["path"] == "eval/rows.jsonl":
                file.update(sha256=digest, bytes=size)

    resign(bundle, change)


def set_left_out_digest(document: dict[str, Any]) -> None:
    entry = next(file for file in document["left_out"] if file["path"] == BASE_WEIGHTS)
    entry["sha256"] = "0" * 64


def link(bundle: Path) -> None:
    target = bundle / "run/corpus.txt"
    target.symlink_to("/etc/hostname")


TAMPERED: dict[str, Callable[[Path], Any]] = {
    "a file is gone": lambda b: (b / "run/base/ledger.jsonl").unlink(),
    "a file is added": lambda b: (b / "run/notes.txt").write_text("x"),
    "a file is added beside the run": lambda b: (b / "README").write_text("x"),
    "the record is gone from the list": lambda b: resign(b, lambda d: d["files"].pop(0)),
    "the verdict of the record": lambda b: resign(b, lambda d: d.update(verdict="approved")),
    "the weights of the record": lambda b: resign(b, lambda d: d.update(weights_digest="0" * 64)),
    "the run of the record": lambda b: resign(b, lambda d: d.update(run_digest="0" * 64)),
    "an unknown key": lambda b: resign(b, lambda d: d.update(note="x")),
    "another schema": lambda b: resign(b, lambda d: d["schema"].update(version=2)),
    "the record without its digest": lambda b: flip(b / layout.BUNDLE),
    "rows that fit the record": replace_rows,
    "rows said to be left out": claim_absent("eval/rows.jsonl"),
    "a report said to be left out": claim_absent("base/report.json"),
    "the gate said to be left out": claim_absent("gate.json"),
    "honest weights with another digest": lambda b: resign(b, set_left_out_digest),
    "something left out that no run has": lambda b: resign(
        b, lambda d: d["left_out"].append(d["left_out"][0] | {"path": "shards/train-00000.bin"})
    ),
    "both held and left out": lambda b: resign(b, lambda d: d["left_out"].append(d["files"][0] | {"reason": "x"})),
    "a page": lambda b: (b / "run/report.html").write_text("<p>approved"),
    "a link": link,
    "a pipe": lambda b: os.mkfifo(b / "run/pipe"),
    "a hidden file": lambda b: (b / "run/.hidden").write_text("x"),
    "everything but the record": lambda b: shutil.rmtree(b / "run"),
    "a folder in place of the record": lambda b: ((b / "bundle.json").unlink(), (b / "bundle.json").mkdir()),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_changed_bundle_is_red(bundle: Path, kind: str) -> None:
    assert blocks(verify_bundle(bundle)) == set()
    TAMPERED[kind](bundle)
    assert blocks(verify_bundle(bundle)) != set()


def test_a_page_that_fits_record_and_summary_is_still_red(judged: Path, copy: Copy, tmp_path: Path) -> None:
    """Every list and digest is made to fit a doctored page; only rendering it again shows it."""
    root = copy(judged)
    make(root, tmp_path / "bundle")
    run = tmp_path / "bundle" / layout.BUNDLE_RUN
    page = run / layout.REPORT_HTML
    page.write_text(page.read_text().replace("blocked", "approved"))
    digest, size = sha256_file(page), page.stat().st_size
    summary = json.loads((run / layout.SUMMARY).read_bytes())
    for entry in [*summary["artifacts"], *summary["manifest"]["outputs"]]:
        if entry["path"] == layout.REPORT_HTML:
            entry.update(sha256=digest, bytes=size)
    summary["self_digest"] = self_digest(summary)
    (run / layout.SUMMARY).write_bytes(pretty_json(summary))
    fresh = {
        name: (sha256_file(run / name), (run / name).stat().st_size) for name in (layout.REPORT_HTML, layout.SUMMARY)
    }

    def change(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["path"] in fresh:
                file.update(sha256=fresh[file["path"]][0], bytes=fresh[file["path"]][1])

    resign(tmp_path / "bundle", change)
    assert ("verify.summary", layout.REPORT_HTML) in blocks(verify_bundle(tmp_path / "bundle"))


def test_a_hostile_archive_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("run/a")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(PicochatError) as caught:
        verify_bundle(path)
    assert (caught.value.code, caught.value.exit_code) == ("bundle.tar", 4)


def test_an_archive_without_a_run_is_red(tmp_path: Path) -> None:
    out = io.BytesIO()
    write_tar(out, [("bundle.json", 3, io.BytesIO(b"{}\n"))])
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    assert blocks(verify_bundle(tmp_path / "a.tar")) == {("verify.bundle", layout.BUNDLE)}


def refused(root: Path, out: Path) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        make(root, out)
    assert not out.exists() and not list(out.parent.glob(".tmp-*"))
    return caught.value


def test_a_run_that_is_not_judged_is_stale_or_broken_is_not_bundled(
    bare: Path, judged: Path, copy: Copy, tmp_path: Path
) -> None:
    out = tmp_path / "a.tar"
    assert (refused(bare, out).code, refused(bare, out).exit_code) == ("bundle.not_judged", 3)
    root = copy(judged)
    (root / layout.SUMMARY_MD).write_text("all is well")
    broken = refused(root, out)
    assert (broken.code, broken.exit_code) == ("artifact.changed", 4)
    shutil.rmtree(root)
    root = copy(judged)
    (root / "notes.txt").write_text("x")
    stale = refused(root, out)
    assert (stale.code, stale.exit_code) == ("bundle.stale", 3) and "notes.txt" in stale.detail
    (root / "notes.txt").unlink()
    flip(root / "eval/rows.jsonl")
    assert refused(root, out).exit_code == 4


def test_a_verdict_that_does_not_follow_any_more_is_stale(judged: Path, copy: Copy, tmp_path: Path) -> None:
    """The profile is another one than the gate was judged under, and every list was made to fit."""
    root = copy(judged)
    judge(root, "research")
    gate = json.loads((root / layout.GATE).read_bytes())
    gate["not_judged"] = []
    gate["self_digest"] = self_digest(gate)
    (root / layout.GATE).write_bytes(pretty_json(gate))
    digest, size = sha256_file(root / layout.GATE), (root / layout.GATE).stat().st_size
    summary = json.loads((root / layout.SUMMARY).read_bytes())
    for entry in [*summary["artifacts"], *summary["manifest"]["inputs"]]:
        if entry["path"] == layout.GATE:
            entry.update(sha256=digest, bytes=size)
    summary["self_digest"] = self_digest(summary)
    (root / layout.SUMMARY).write_bytes(pretty_json(summary))
    found = refused(root, tmp_path / "a.tar")
    assert (found.code, found.exit_code) == ("bundle.stale", 3) and layout.GATE in found.detail


def test_an_out_that_exists_or_lies_in_the_run_is_refused(judged: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    for out in (tmp_path / "a.tar", judged / "b.tar", tmp_path / "a.tar.gz", tmp_path / "a.zip"):
        with pytest.raises(PicochatError) as caught:
            make(judged, out)
        assert caught.value.code == "usage.path"
    assert (tmp_path / "a.tar").read_text() == "mine" and not (judged / "b.tar").exists()


def test_without_the_extra_a_signature_is_refused_with_what_to_install(
    judged: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "PACKAGE", "no_such_package_of_signatures")
    key = tmp_path / "key.pem"
    key.write_text("x")
    with pytest.raises(PicochatError) as caught:
        write_bundle(RunStore(judged), tmp_path / "a.tar", BundleOptions(), key)
    assert (caught.value.code, caught.value.fix) == ("usage.extra", "pip install 'picochat[sign]'")
    assert not (tmp_path / "a.tar").exists()
    (bundle / layout.BUNDLE_SIGNATURE).write_text("{}")
    with pytest.raises(PicochatError) as caught:
        verify_bundle(bundle, key)
    assert caught.value.code == "usage.extra"
    (result,) = [result for result in verify_bundle(bundle) if result.id == "verify.signature"]
    assert result.verdict == "not_run" and "no --public-key" in str(result.measured)
