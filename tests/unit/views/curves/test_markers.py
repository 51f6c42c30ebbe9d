from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.support.events import Story, resumed, straight

from picochat.views.curves.axes import Known
from picochat.views.curves.follow import EventFollower
from picochat.views.curves.known import build_references, read_document, read_known
from picochat.views.curves.markers import MOST_MARKERS, build_markers, find_spikes
from picochat.views.curves.resources import build_speed

KNOWN = Known(bytes_per_token=2.0, epoch_tokens=10_000.0)
BASELINES = {"bigram": {"bpb": 2.5, "nats_per_token": 3.5}, "4-gram": {"bpb": "1.5", "nats_per_token": None}}


def read(story: Story, root: Path) -> EventFollower:
    return EventFollower(story.write(root)).read()


def test_events_lie_on_the_axis_and_lead_to_their_line(tmp_path: Path) -> None:
    events = read(resumed(), tmp_path)
    text = (tmp_path / "events.jsonl").read_bytes()
    for axis, expected in (("step", 221), ("tokens", 221 * 4096), ("wall", 512.05), ("active", 27.06)):
        found = build_markers(events, tmp_path, "base", axis, KNOWN)["markers"]
        (guard,) = [mark for mark in found if mark["kind"] == "guard_skipped"]
        assert guard["x"] == pytest.approx(expected), axis
        assert (guard["value"], guard["attempt"], guard["step"]) == (11.0, 2, 221)
        assert json.loads(text[guard["offset"] :].split(b"\n")[0])["seq"] == guard["seq"]
        for kind, step in (("spike", 77), ("eval", 300)):
            mark = [mark for mark in found if mark["kind"] == kind][-1]
            assert json.loads(text[mark["offset"] :].split(b"\n")[0])["step"] == mark["step"] == step
        kinds = {mark["kind"] for mark in found}
        assert kinds == {"stage_started", "eval", "checkpoint_saved", "resumed", "guard_skipped", "spike"}
        assert [mark["x"] for mark in found] == sorted(mark["x"] for mark in found)


def test_a_spike_is_far_above_what_came_before_and_noise_is_none(tmp_path: Path) -> None:
    spikes = find_spikes(read(resumed(), tmp_path / "one").stages["base"])
    assert spikes.tolist() == [76]
    noisy, dice = straight(400), random.Random(7)
    for event in noisy.events:
        event["loss"] = 3 + dice.gauss(0, 0.2)
    assert not len(find_spikes(read(noisy, tmp_path / "two").stages["base"]))


def test_too_many_marks_keep_what_went_wrong(tmp_path: Path) -> None:
    story = straight(40)
    for number in range(MOST_MARKERS + 100):
        story.tell("checkpoint_saved", 4 + number, step=40)
    story.tell("failed", 9000, code="training.loss_guard", detail="five in a row")
    found = build_markers(read(story, tmp_path), tmp_path, "base", "step", KNOWN)
    assert len(found["markers"]) == MOST_MARKERS and found["left_out"] == 102
    assert [mark["text"] for mark in found["markers"] if mark["kind"] == "failed"] == [
        "training.loss_guard: five in a row"
    ]


def test_references_come_from_the_documents_of_the_run(tmp_path: Path) -> None:
    events = read(resumed(), tmp_path)
    (tmp_path / "tokenizer_report.json").write_text(json.dumps({"baselines": BASELINES}))
    check = {"id": "base.beats_ngram", "threshold": 2.5}
    (tmp_path / "gate.json").write_text(json.dumps({"checks": [check, {"id": "other", "threshold": 9}, 3]}))
    found = {(line.kind, line.keys): line for line in build_references(tmp_path, events.stages["base"], "step", KNOWN)}
    assert found["baseline", ("val_bpb", "bpb")].value == 2.5
    assert found["baseline", ("val_loss", "loss")].value == 3.5
    assert {line.label for line in found.values() if line.kind == "baseline"} == {"bigram"}
    assert found["threshold", ("val_bpb", "bpb")].label == "threshold of base.beats_ngram"
    assert found["best", ("val_bpb",)].label == "best, step 300"
    assert (found["end", ()].axis, found["end", ()].value) == ("x", 400)
    by_time = build_references(tmp_path, events.stages["base"], "wall", KNOWN)
    assert not [line for line in by_time if line.kind == "end"], "when it ends in time is not known"


def test_documents_that_say_nothing_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_report.json").write_text('{"bytes_per_token": "4", "baselines": [1], "train_tokens": 5}')
    (tmp_path / "run.json").write_text('{"config": 7}')
    (tmp_path / "gate.json").symlink_to(tmp_path / "run.json")
    assert read_document(tmp_path / "gate.json") == {}, "no link is followed"
    assert read_known(tmp_path, "base") == Known()
    (tmp_path / "tokenizer_report.json").write_text('{"bytes_per_token": 4.5, "train_tok')
    assert read_known(tmp_path, "base") == Known()


def test_an_epoch_is_known_from_the_train_side_and_then_from_the_report(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_report.json").write_text('{"bytes_per_token": 4.5, "train_tokens": 5000}')
    (tmp_path / "run.json").write_text('{"config": {"base": {"data_mode": "memory"}}}')
    assert read_known(tmp_path, "base") == Known(4.5, 5000)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "report.json").write_text('{"training": {"epochs": 1.25, "tokens_seen": 6000}}')
    assert read_known(tmp_path, "base").epoch_tokens == 4800
    assert read_known(tmp_path, "sft").epoch_tokens is None


def test_speed_is_of_the_newest_steps_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    events = read(resumed(), tmp_path)
    found = build_speed(events, None, KNOWN._replace(peak_flops_per_s=1e12))
    assert found["stage"] == "base" and found["step"] == 300
    assert found["step_time_p50_s"] == pytest.approx(0.1) and found["step_time_p99_s"] == pytest.approx(0.1)
    assert found["mfu_frac"] == pytest.approx(40_960 * 5e6 / 1e12)
    assert found["data_wait_frac"] == pytest.approx(0.01)
    assert found["peak_rss_bytes"] == 700_000_300
    assert found["peak_gpu_tensor_bytes"] is None and found["slowest_rank"] is None
    assert build_speed(events, None, KNOWN)["mfu_frac"] is None
    assert set(build_speed(events, "dpo", KNOWN).values()) == {"dpo", None}
