"""What making a run again would take, from whatever a run folder still holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.views.runs.rework import Word, read_rework, start_command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "demo-1"
    root.mkdir()
    record = {
        "profile": "tiny",
        "config": {"seed": 3, "data": {"pack": "/t/my pack"}, "launch": {"gpus": 8, "rate_usd_per_gpu_hour": 3.0}},
        "origins": {"seed": "--set", "data.pack": "flag", "launch.gpus": "--set", "x.y": "profile tiny"},
    }
    (root / layout.RUN).write_text(json.dumps(record))
    return root


def test_a_run_is_started_again_as_it_was(root: Path) -> None:
    facts = read_rework(root, "runs/demo-1")
    assert start_command(facts, "--resume") == (
        "picochat run tiny --pack '/t/my pack' --out-dir runs/demo-1 --resume --set launch.gpus=8 --set seed=3"
    )
    assert facts.usd_per_hour == 24.0 and facts.next_run == "runs/demo-2"
    assert facts.parameters is None and facts.seconds == {}


def test_the_next_folder_is_one_that_is_free(root: Path) -> None:
    (root.parent / "demo-2").mkdir()
    assert read_rework(root, "demo-1").next_run == "demo-3"
    plain = root.rename(root.parent / "mine")
    assert read_rework(plain, "runs/mine").next_run == "runs/mine-2"


def test_durations_are_what_the_stages_said_last(root: Path) -> None:
    events = [
        {"kind": "stage_finished", "stage": "dataset", "duration_s": 2.0},
        {"kind": "stage_finished", "stage": "honesty", "duration_s": 1.0},
        {"kind": "stage_finished", "stage": "dataset", "duration_s": 4.0},
        {"kind": "step", "stage": "base"},
        {"kind": "stage_finished", "stage": "base", "duration_s": "long"},
    ]
    lines = [json.dumps(event) for event in events]
    (root / layout.EVENTS).write_text("\n".join([*lines, '{"kind":"stage_finished","stage":"sft","dur']))
    report = {"manifest": {"duration_s": 9.0}, "training": {"planned_tokens": 100, "planned_steps": 3}}
    (root / layout.BASE).mkdir()
    (root / layout.report_path(layout.BASE)).write_text(json.dumps(report))
    facts = read_rework(root, "demo-1")
    assert facts.seconds == {"data": 5.0, "base": 9.0} and facts.planned == {"base": (100, 34)}


def test_nothing_is_known_of_a_torn_run(root: Path) -> None:
    (root / layout.RUN).write_text('{"profile": "ti')
    facts = read_rework(root, "demo-1")
    assert (facts.profile, facts.record, facts.usd_per_hour) == (None, {}, None)
    assert start_command(facts) == "picochat run PROFILE --out-dir demo-1"


def test_a_new_run_has_its_changes_and_no_cap_of_the_old_one(root: Path) -> None:
    facts = read_rework(root, "runs/demo-1")
    changes = {"data.pack": Word("PACK"), "a.lr": Word("LR"), "seed": 4}
    changed = start_command(facts, run=facts.next_run, changes=changes)
    assert changed == "picochat run tiny --pack PACK --out-dir runs/demo-2 --set a.lr=LR --set seed=4"
