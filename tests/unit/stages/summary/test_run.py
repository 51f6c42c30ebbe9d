from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.green_run import GreenRun, judge

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.verify import verify_run
from picochat.stages.summary.config import SummaryConfig


def test_the_stage_writes_a_verdict_that_verifies_and_lists_every_file(tmp_path: Path) -> None:
    root = GreenRun(tmp_path / "run").build(n=4).root
    gate = judge(root)
    written = json.loads((root / "gate.json").read_bytes())
    summary = json.loads((root / "summary.json").read_bytes())
    assert {key: written[key] for key in gate} == json.loads(json.dumps(gate))
    assert gate["verdict"] == "blocked", "four rows a skill are no evidence of no echo"
    listed = {entry["path"] for entry in summary["artifacts"]}
    assert {"run.json", "gate.json", "summary.md", "sft/checkpoint/model.safetensors"} <= listed
    assert not {"summary.json", "events.jsonl", "status.json"} & listed
    assert summary["checks"][0]["verdict"] == "not_run"
    assert [result.verdict for result in verify_run(RunStore(root))] == ["pass"]
    judge(root, "first_release")
    assert (root / "summary.001.json").is_file()
    assert [result.verdict for result in verify_run(RunStore(root))] == ["pass"]


def test_an_unknown_profile_is_refused_with_its_key() -> None:
    with pytest.raises(PicochatError) as err:
        SummaryConfig.from_dict({"gate_profile": "strict"})
    assert err.value.code == "config.value"
