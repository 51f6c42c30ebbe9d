from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.core.event_tail import EventScan
from picochat.core.jsonio import canonical_json
from picochat.model.sizing import planned_parameters
from picochat.pipeline.profiles import tiny
from picochat.views.runs.run_list import COLUMNS, line_cells, rate_words, read_run_line, run_line, unreadable_line


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "green"
    GreenRun(root).build(n=40)
    judge(root)
    return root


def line_of(root: Path) -> dict[str, Any]:
    return run_line(read_run_line(root, planned_parameters))


def test_the_numbers_of_a_line_are_those_of_the_reports(judged: Path) -> None:
    line = line_of(judged)
    base, evaluation, gate = (
        json.loads((judged / n).read_text()) for n in ("base/report.json", "eval/report.json", "gate.json")
    )
    assert line["parameters"] == base["model"]["parameters"]
    assert line["best_bpb"] == {"bpb": base["validation"]["bpb"], "step": base["training"]["steps"], "stage": "base"}
    assert line["tokens_per_s"] == base["training"]["tokens_per_s"]
    for name in ("eval", "heldout", "fit"):
        summary = evaluation["sets"][name]["summary"]
        assert line[name] == {**summary["mean_skill"], "n": summary["n"]}
    assert (line["verdict"], line["weights_digest"]) == (gate["verdict"], gate["weights_digest"])
    assert (line["profile"], line["judged_under"], line["stale"]) == ("tiny", "research", False)
    assert (line["eta_s"], line["spent_usd"], line["cap_usd"], line["step"]) == (None, None, None, None)


def test_a_verdict_on_a_report_that_was_replaced_is_stale(judged: Path, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "run"
    shutil.copytree(judged, root)
    report = root / layout.report_path(layout.SFT)
    report.write_bytes(report.read_bytes() + b"\n")
    assert line_of(root)["stale"]
    assert line_cells(line_of(root))[COLUMNS.index("gate")].endswith("(stale)")
    report.unlink()
    assert line_of(root)["stale"], "a report that is gone"


def test_a_training_at_work_is_read_from_its_events_and_its_configuration(tmp_path: Path) -> None:
    config = tiny().as_dict()
    (tmp_path / layout.RUN).write_bytes(canonical_json({"profile": "tiny", "config": config, "created_at": "2026"}))
    head = {"t": "now", "attempt": 1, "stage": "base"}
    events = [{"kind": "step", "step": n, **head} for n in range(300)]
    events[100:100] = [{"kind": "eval", "step": 100, "bpb": 1.75, **head}]
    events[250:250] = [{"kind": "eval", "step": 200, "bpb": 1.9, **head}, {"kind": "eval", "stage": "sft", "bpb": 0.1}]
    (tmp_path / layout.EVENTS).write_bytes(b"".join(canonical_json(event) + b"\n" for event in events))
    line = line_of(tmp_path)
    assert line["best_bpb"] == {"bpb": 1.75, "step": 100, "stage": "base"}
    assert line["parameters"] == 754_816, "as the report of the demo counts them"
    assert (line["verdict"], line["eval"], line["tokens_per_s"]) == (None, None, None)


def test_the_best_of_several_validations_is_the_least(tmp_path: Path) -> None:
    history = [{"step": 1, "bpb": 3.0}, {"step": 2, "bpb": 1.5}, {"step": 3, "bpb": 1.6}, {"step": 4, "bpb": "low"}]
    for stage, points in (("base", history), ("sft", [{"step": 9, "bpb": 1.0}])):
        (tmp_path / stage).mkdir()
        report = {"validation": {"history": points}, "training": {"steps": 3}}
        (tmp_path / layout.report_path(stage)).write_text(json.dumps(report))
    assert line_of(tmp_path)["best_bpb"] == {"step": 2, "bpb": 1.5, "stage": "base"}
    (tmp_path / layout.report_path("base")).unlink()
    assert line_of(tmp_path)["best_bpb"] == {"step": 9, "bpb": 1.0, "stage": "sft"}, "it has no base of its own"


def test_the_events_of_a_run_with_reports_are_not_searched(judged: Path) -> None:
    class Never(EventScan):
        def read(self, path: Path) -> Any:
            raise AssertionError("all of the events were read")

    assert read_run_line(judged, planned_parameters, Never(["eval"])).facts["best_bpb"]


def test_nothing_known_is_a_dash_and_never_zero(tmp_path: Path) -> None:
    (tmp_path / layout.RUN).write_text("{}")
    cells = line_cells(line_of(tmp_path))
    assert cells == [tmp_path.name, "unknown", *["—"] * (len(COLUMNS) - 2)]


def test_numbers_of_hostile_shapes_are_unknown(tmp_path: Path) -> None:
    status = {"state": "finished", "step": "7", "steps": [1], "tokens_per_s": True, "spent_usd": {}, "cap_usd": "1"}
    (tmp_path / layout.STATUS).write_text(json.dumps(status | {"stage": 5, "eta_s": None, "error": "boom"}))
    (tmp_path / layout.RUN).write_text(json.dumps({"profile": 1, "config": {"model": {"dim": "x"}}, "created_at": []}))
    (tmp_path / "eval").mkdir()
    sets = {"eval": {"summary": {"mean_skill": {"rate": "high"}}}, "heldout": [], "fit": {"summary": None}}
    (tmp_path / "eval" / "report.json").write_text(json.dumps({"sets": sets}))
    (tmp_path / layout.GATE).write_text(json.dumps({"verdict": ["approved"], "manifest": {"inputs": [1, {"path": 2}]}}))
    line = line_of(tmp_path)
    known = {key: value for key, value in line.items() if value is not None}
    assert known == {
        "name": tmp_path.name,
        "state": "finished",
        "process": "finished",
        "unreadable": [],
        "stale": False,
    }


def test_each_broken_report_is_named_once(tmp_path: Path) -> None:
    names = [layout.STATUS, layout.RUN, "base/report.json", "eval/report.json"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{")
    line = line_of(tmp_path)
    assert line["state"] == "unreadable"
    assert [file["file"] for file in line["unreadable"]] == [
        "status.json",
        "run.json",
        "base/report.json",
        "eval/report.json",
    ]


def test_a_folder_that_cannot_be_read_is_a_line_like_any_other(judged: Path) -> None:
    line = unreadable_line("locked", "the folder may not be read")
    assert line.keys() == line_of(judged).keys()
    assert line["state"] == "unreadable"
    assert len(line_cells(line)) == len(COLUMNS)


def test_cost_and_progress_in_words(tmp_path: Path) -> None:
    status = {"state": "stopped", "stage": "base", "step": 50, "steps": 200, "spent_usd": 12.5, "cap_usd": 430.0}
    (tmp_path / layout.STATUS).write_text(json.dumps(status))
    (tmp_path / layout.RUN).write_text(json.dumps({"created_at": "2026-01-01T00:00:00.000Z"}))
    cells = dict(zip(COLUMNS, line_cells(line_of(tmp_path), datetime(2026, 1, 1, 3, tzinfo=UTC)), strict=True))
    assert (cells["progress"], cells["cost"], cells["age"]) == ("50 of 200", "$12.50 of $430.00", "3 h ago")


def test_rates_are_shown_with_their_interval() -> None:
    assert rate_words({"rate": 0.8054, "interval": [0.772, 0.839], "n": 500}) == "80.5 % [77.2, 83.9]"
    assert rate_words({"rate": 0.0, "interval": None, "n": None}) == "0.0 %"
    assert rate_words(None) == "—"
