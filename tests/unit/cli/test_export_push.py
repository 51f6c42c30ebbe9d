"""An upload asks first, uploads only what is whole and what the gate approved, and never shows the token."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.stub_upload import UploadHub

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.export_record import parity_bytes, record_bytes
from picochat.artifacts.reports import CodeRecord, FileRef, Manifest
from picochat.artifacts.store import RunStore
from picochat.cli import export_push
from picochat.cli.export_push import push_export
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.judgement.served_verdict import ServedVerdict

pytest.importorskip("huggingface_hub", reason="NOT RUN: huggingface_hub is not installed")
REPO, TOKEN, WEIGHTS = "org/pico", "hf_secret0123456789", "ab" * 32


def write_export(root: Path) -> RunStore:
    folder = root / layout.export_dir("hf")
    folder.mkdir(parents=True)
    (folder / layout.HF_CARD).write_text("---\nlicense: mit\n---\n# Pico\n")
    (folder / layout.CKPT_WEIGHTS).write_bytes(b"weights")
    (folder / layout.PARITY).write_bytes(parity_bytes({"subjects": [], "not_run": []}))
    refs = [
        FileRef(kind="export", path=f"export/hf/{p.name}", bytes=p.stat().st_size, sha256=sha256_file(p))
        for p in sorted(folder.iterdir())
    ]
    code = CodeRecord(version="0", git_commit=None, git_dirty=None, package_digest="0")
    manifest = Manifest(
        stage="export",
        attempt=1,
        started_at="",
        finished_at="",
        duration_s=0.0,
        run_digest="0",
        code=code,
        environment={},
        config="0",
        inputs=(),
        outputs=tuple(refs),
    )
    fields = {
        "kind": "hf",
        "result": "native",
        "types": ["f32"],
        "weights_digest": WEIGHTS,
        "gate": {"word": "approved", "profile": None, "reason": "then"},
        "parity": CheckResult(id="export.parity", verdict="pass", why="w").to_json(),
        "manifest": manifest.to_json(),
    }
    (folder / layout.EXPORT_MANIFEST).write_bytes(record_bytes(fields))
    return RunStore(root)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    judge(monkeypatch, "approved")
    return write_export(tmp_path / "run")


def judge(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    verdict = ServedVerdict(word, "research/2", "because")
    monkeypatch.setattr(export_push, "read_served_verdict", lambda root, digest: verdict)


def refused(store: RunStore, *, confirmed: bool = True, allow: bool = False, repo: str = REPO) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        push_export(store, "hf", repo, confirmed=confirmed, allow_unapproved=allow)
    assert TOKEN not in str(caught.value.lines())
    return caught.value


def test_the_files_arrive_in_a_private_repository(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with UploadHub(TOKEN) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        url = push_export(store, "hf", REPO, confirmed=True, allow_unapproved=False)
        folder = store.path(layout.export_dir("hf"))
        assert hub.files[REPO] == {path.name: path.read_bytes() for path in folder.iterdir()}
        assert hub.private[REPO] is True and REPO in url
        assert hub.messages == [f"Weights {WEIGHTS[:16]}, gate approved"]


@pytest.mark.parametrize("word", ["warn", "blocked", "stale", "not_run"])
def test_what_is_not_approved_needs_a_word_of_its_own(
    word: str, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, word)
    with UploadHub(TOKEN) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        error = refused(store)
        assert (error.code, error.exit_code) == ("export.not_approved", 3) and word in error.detail
        assert hub.files == {}
        push_export(store, "hf", REPO, confirmed=True, allow_unapproved=True)
        assert hub.messages == [f"Weights {WEIGHTS[:16]}, gate {word}"], "the recorded word is not the one of now"


def test_nothing_is_uploaded_unasked(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with UploadHub(TOKEN) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert refused(store, confirmed=False).code == "export.not_confirmed"
        assert hub.files == {}


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_a_damaged_export_stays_here(damage: str, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.path(layout.export_dir("hf"))
    weights = folder / layout.CKPT_WEIGHTS
    if damage == "changed":
        weights.write_bytes(b"wrights")
    elif damage == "missing":
        weights.unlink()
    else:
        (folder / "secrets.env").write_text("x")
    with UploadHub(TOKEN) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        error = refused(store)
        assert error.code == "artifact.changed" and hub.files == {}
        assert ("secrets.env" if damage == "added" else weights.name) in error.detail


@pytest.mark.parametrize("fault", ["token", "full", "unreachable", "name"])
def test_a_hub_that_says_no_is_an_error_without_the_token(
    fault: str, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with UploadHub("another" if fault == "token" else TOKEN, full=fault == "full") as hub:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9" if fault == "unreachable" else hub.url)
        error = refused(store, repo="no such name/at/all" if fault == "name" else REPO)
    assert (error.code, error.exit_code) == ("export.upload", 5)
