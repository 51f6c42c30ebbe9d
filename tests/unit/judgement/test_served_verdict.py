"""Which word stands for some weights: approved or warn for those that were judged, and never without a judgement."""

import json
import shutil
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.judgement.served_verdict import read_served_verdict


@pytest.fixture
def root(judged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged, tmp_path / "run"))


def digest(root: Path) -> str:
    return json.loads((root / layout.GATE).read_text())["weights_digest"]


def test_the_judged_weights_carry_the_verdict_and_its_profile(root: Path):
    gate = json.loads((root / layout.GATE).read_text())
    found = read_served_verdict(root, digest(root))
    assert found.word == gate["verdict"] and found.profile == f"{gate['profile']}/{gate['profile_version']}"


def test_other_weights_were_not_judged_and_the_reason_names_both(root: Path):
    found = read_served_verdict(root, "f" * 64)
    assert found.word == "not_run" and found.profile is None
    assert digest(root)[:12] in found.reason and "f" * 12 in found.reason


@pytest.mark.parametrize("gone", [True, False])
def test_a_judged_file_that_changed_makes_the_verdict_stale(root: Path, gone: bool):
    path = root / layout.HONESTY
    path.unlink() if gone else path.write_bytes(path.read_bytes() + b" ")
    found = read_served_verdict(root, digest(root))
    assert found.word == "stale" and layout.HONESTY in found.reason


def test_without_a_gate_nothing_was_judged(root: Path):
    weights = digest(root)
    (root / layout.GATE).unlink()
    assert read_served_verdict(root, weights).word == "not_run"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"verdict": "approved"}'])
def test_a_file_that_is_no_verdict_is_not_believed(root: Path, text: str):
    weights = digest(root)
    (root / layout.GATE).write_text(text)
    assert read_served_verdict(root, weights).word == "not_run"


def test_an_edited_verdict_is_not_believed(root: Path):
    gate = json.loads((root / layout.GATE).read_text())
    gate["verdict"] = "warn" if gate["verdict"] == "approved" else "approved"
    (root / layout.GATE).write_text(json.dumps(gate))
    assert read_served_verdict(root, gate["weights_digest"]).word == "not_run"


def test_a_judged_path_cannot_lead_out_of_the_run(root: Path):
    gate = json.loads((root / layout.GATE).read_text())
    gate["manifest"]["inputs"][0]["path"] = "../outside"
    gate["self_digest"] = self_digest(gate)
    (root / layout.GATE).write_text(json.dumps(gate))
    assert read_served_verdict(root, gate["weights_digest"]).word == "stale"
