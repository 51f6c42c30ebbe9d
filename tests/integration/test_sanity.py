"""`picochat sanity` as a user starts it: it passes on made text and on a run, and a failure is exit code 3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.tiny_run import build_run, picochat, set_flags, write_pack

from picochat.artifacts.store import RunStore
from picochat.cli.app import cli
from picochat.judgement.sanity_registry import SANITY_CHECKS
from picochat.stages.sanity import resume, run
from picochat.stages.sanity.verdicts import fail

pytestmark = pytest.mark.integration
NOT_BUILT = {"sanity.ranks"}


def test_every_proof_passes_on_made_text_and_nothing_stays(tmp_path: Path):
    flags = set_flags({"machine.threads": 1, "machine.compile": "off"})
    done = picochat("sanity", "--json", "--precision", "bf16", *flags, cwd=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = {check["id"]: check["verdict"] for check in document["checks"]}
    assert found.keys() == SANITY_CHECKS.keys() - {"sanity.resume_close"}
    assert {name for name, verdict in found.items() if verdict != "pass"} == NOT_BUILT
    assert document["claim"].startswith("T0") and document["failed"] == []
    assert list(tmp_path.glob("picochat-*")) == []


def test_a_process_that_cannot_go_on_is_noticed(tmp_path: Path):
    """There is no plan and no checkpoint in the folder, so the other process ends with an error."""
    assert resume.resume_elsewhere(tmp_path) is None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    root = tmp_path_factory.mktemp("sanity")
    return build_run(root / "run", write_pack(root / "texts"))


def test_every_proof_passes_on_a_run_and_the_run_is_only_read(store: RunStore):
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    done = picochat("sanity", store.root, "--json", "--precision", "bf16")
    assert done.returncode == 0, done.stderr
    found = {check["id"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert {name for name, verdict in found.items() if verdict != "pass"} == NOT_BUILT
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before


def test_a_failed_proof_is_exit_code_3_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    checks = [fail("sanity.chat_mask", "planted"), *run.missing()]
    monkeypatch.setattr(run, "run", lambda config, progress: run.Findings(checks, "none", facts()))
    done = CliRunner().invoke(cli, ["sanity"])
    assert done.exit_code == 3
    assert "planted" in done.output and "picochat sanity --device cpu" in done.output
    assert "0 pass, 1 fail, 1 not run" in done.output


def facts() -> dict[str, object]:
    return {"device": "cpu", "precision": "fp32", "threads": 1, "torch": "2"}


def test_a_run_brings_its_own_profile(store: RunStore):
    done = picochat("sanity", store.root, "--profile", "tiny")
    assert done.returncode == 2
    assert "leave --profile out" in done.stderr
