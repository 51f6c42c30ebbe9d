from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.events import FLOPS_A_TOKEN, TOKENS_A_STEP, Story, loss_of, resumed, straight

from picochat.core.jsonio import canonical_json
from picochat.views.curves.axes import AXES, Known
from picochat.views.curves.follow import EventFollower
from picochat.views.curves.series import COLUMNS, Wanted, build_series, iter_rows

KNOWN = Known(bytes_per_token=2.0, epoch_tokens=10_000.0)


def read(story: Story, root: Path) -> EventFollower:
    return EventFollower(story.write(root)).read()


def ask(events: EventFollower, *keys: str, **more: Any) -> dict[str, Any]:
    return build_series(events, Wanted("base", keys, **more), KNOWN)


def test_a_point_has_its_values_on_every_axis(tmp_path: Path) -> None:
    events = read(straight(100), tmp_path)
    places = {axis: ask(events, "loss", axis=axis)["series"][0] for axis in AXES}
    for series in places.values():
        assert series["last"][41] == pytest.approx(loss_of(42), rel=1e-8) and series["step"][41] == 42
    tokens = 42 * TOKENS_A_STEP
    expected = {"tokens": tokens, "flops": tokens * FLOPS_A_TOKEN, "wall": 4.2, "active": 4.2, "epoch": tokens / 10_000}
    assert {axis: places[axis]["x"][41] for axis in expected} == pytest.approx(expected)
    assert places["step"]["x"] is None
    assert ask(events, "loss")["axis"]["available"] == list(AXES)


def test_what_no_document_says_leaves_its_axis_out(tmp_path: Path) -> None:
    story = straight(5)
    for event in story.events:
        event.pop("flops_per_s", None)
    found = build_series(read(story, tmp_path), Wanted("base", ("loss", "bpb"), axis="epoch"), Known())
    assert found["axis"]["available"] == ["step", "tokens", "wall", "active"]
    assert [series["points"]["usable"] for series in found["series"]] == [0, 0]
    assert found["span"] is None


def test_one_bucketing_serves_all_axes(tmp_path: Path) -> None:
    events = read(straight(400), tmp_path)
    steps = {axis: ask(events, "loss", axis=axis, buckets=40)["series"][0]["step"] for axis in AXES}
    assert len(steps["step"]) == 40 and all(found == steps["step"] for found in steps.values())


def test_a_spike_of_one_point_survives_and_the_count_is_told(tmp_path: Path) -> None:
    story = straight(400)
    story.events[211]["loss"] = 50.0
    series = ask(read(story, tmp_path), "loss", buckets=20)["series"][0]
    assert series["points"] == {"all": 400, "usable": 400, "window": 400, "shown": 20}
    assert max(series["max"]) == 50.0 and max(series["last"]) < 10
    assert series["facts"]["highest"]["value"] == 50.0
    assert series["facts"]["without_outliers"][1] < 10


def test_smoothing_sees_all_points_and_leaves_rates_alone(tmp_path: Path) -> None:
    events = read(straight(400), tmp_path)
    whole = ask(events, "loss", "lr", "val_loss", smooth=0.9)["series"]
    few = ask(events, "loss", smooth=0.9, buckets=20)["series"][0]
    window = ask(events, "loss", smooth=0.9, begin=300, end=320)["series"][0]
    by_step = dict(zip(whole[0]["step"], whole[0]["smooth"], strict=True))
    assert all(by_step[step] == value for step, value in zip(few["step"], few["smooth"], strict=True))
    assert window["step"] == list(range(300, 321)) and window["smooth"][0] == by_step[300]
    assert whole[1]["smooth"] is None and whole[2]["smooth"] is None and not whole[1]["smoothable"]


def test_values_that_a_logarithm_has_no_place_for_are_counted(tmp_path: Path) -> None:
    story = straight(50)
    for number, value in ((5, 0.0), (6, -1.0), (7, None)):
        story.events[number]["loss"] = value
    events = read(story, tmp_path)
    flat, log = (ask(events, "loss", log_y=log)["series"][0] for log in (False, True))
    assert flat["dropped"] == {"non_finite": 1, "non_positive": 0, "backward": 0}
    assert log["dropped"] == {"non_finite": 1, "non_positive": 2, "backward": 0}
    assert log["points"] == {"all": 50, "usable": 47, "window": 47, "shown": 47}


def test_a_resume_is_one_seam_and_the_repeated_tail_is_marked(tmp_path: Path) -> None:
    events = read(resumed(), tmp_path)
    for axis in AXES:
        found = ask(events, "loss", "val_loss", axis=axis)
        (seam,) = found["seams"]
        assert (seam["attempt"], seam["step"], seam["repeated_steps"], seam["exact"]) == (2, 100, 50, True)
        assert "killed" in seam["reason"] and "50 steps repeated, equal to the bit" in seam["reason"]
        series = found["series"][0]
        first, second = series["attempts"]
        assert (first["attempt"], first["tail"], series["step"][first["tail"]]) == (1, 100, 101)
        assert (second["attempt"], second["tail"], second["end"]) == (2, None, 350)
        x = np.array(series["x"] or series["step"])
        for entry in series["attempts"]:
            assert (np.diff(x[entry["begin"] : entry["end"]]) > 0).all(), axis
    assert ask(events, "loss", axis="active")["seams"][0]["x"] == pytest.approx(15.01)
    assert ask(events, "loss", axis="wall")["seams"][0]["x"] == 500


def test_the_seam_says_how_the_attempt_before_it_ended(tmp_path: Path) -> None:
    story = straight(20)
    story.tell("failed", 2.5, code="run.stopped", detail="stopped at step 20")
    story.step(21, 60, 2)
    (seam,) = ask(read(story, tmp_path), "loss")["seams"]
    assert seam["reason"] == "attempt 1: run.stopped: stopped at step 20; attempt 2 goes on from step 20"
    assert (seam["step"], seam["exact"]) == (20, None)


def test_a_clock_that_was_set_back_leaves_x_rising(tmp_path: Path) -> None:
    story = straight(20)
    story.step(21, 0.5)
    story.step(22, 2.2)
    found = ask(read(story, tmp_path), "loss", axis="wall")["series"][0]
    assert found["dropped"]["backward"] == 1 and found["step"][-1] == 22
    assert ask(read(story, tmp_path), "loss")["series"][0]["points"]["shown"] == 22


def test_bits_a_byte_follow_from_the_loss_of_base_alone(tmp_path: Path) -> None:
    found = ask(read(straight(3), tmp_path), "bpb")["series"][0]
    assert found["last"][0] == pytest.approx(loss_of(1) / (math.log(2) * 2.0), rel=1e-8)
    events = read(straight(3, stage="sft"), tmp_path)
    assert build_series(events, Wanted("sft", ("bpb",)), KNOWN)["series"][0]["points"]["usable"] == 0


def test_an_answer_has_its_size(tmp_path: Path) -> None:
    story = Story()
    for step in range(1, 8001):
        story.step(step * 997, step * 9.137, loss=loss_of(step) * 1.234567891e-5, tokens=step * 99_887_766)
    events = read(story, tmp_path)
    for keys in (("loss",), ("loss", "bpb", "grad_norm", "tokens_per_s", "flops_per_s", "rss_bytes")):
        found = ask(events, *keys, axis="flops", smooth=0.9)
        assert len(canonical_json(found)) <= 150_000
    assert len(ask(events, "loss", axis="flops", smooth=0.9)["series"][0]["step"]) == 1500


def test_what_is_not_there_is_an_answer_without_points(tmp_path: Path) -> None:
    missing = ask(EventFollower(tmp_path / "none").read(), "loss")
    assert (missing["file"]["state"], missing["series"], missing["stages"]) == ("missing", [], [])
    other = ask(read(straight(3, stage="sft"), tmp_path), "loss")
    assert other["series"] == [] and other["stages"] == [{"stage": "sft", "points": 3}]


def test_rows_are_the_numbers_of_the_series(tmp_path: Path) -> None:
    found = ask(read(resumed(), tmp_path), "loss", "val_loss", axis="wall", smooth=0.5, buckets=30)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in iter_rows(found)]
    loss = found["series"][0]
    assert len(rows) == len(loss["step"]) + len(found["series"][1]["step"])
    for place in (0, 11, len(loss["step"]) - 1):
        row = rows[place]
        assert (row["x"], row["step"], row["last"]) == (loss["x"][place], loss["step"][place], loss["last"][place])
        assert (row["smoothed"], row["min"]) == (loss["smooth"][place], loss["min"][place])
    marks = [(row["repeated"], row["attempt"] == 1 and row["step"] > 100) for row in rows]
    assert all(bool(repeated) == tail for repeated, tail in marks) and any(tail for _, tail in marks)
    assert json.dumps(rows)
