from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.views.runs.run_state import RunState
from picochat.views.runs.stage_rail import build_rail, elapsed_by_step, seconds_between, worst_of

NOTHING: dict[str, Any] = dict.fromkeys(RunState._fields[:12])
NAMES = ["dataset", "tokenizer", "preflight", "base", "sft", "evaluate", "benchmark", "summary", "gate"]


def state_of(process: str, **fields: Any) -> RunState:
    return RunState(**NOTHING | {"name": "r", "process": process, "state": process} | fields)


def check(artifact: str, verdict: str, required: bool = True) -> dict[str, Any]:
    return {"id": artifact, "verdict": verdict, "required": required, "evidence": [{"artifact": artifact}]}


def event(kind: str, stage: str, second: int, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "stage": stage, "attempt": attempt, "t": f"2026-01-01T00:00:{second:02d}.000Z", **fields}


def test_the_rail_has_nine_places_and_what_was_not_run_is_never_green() -> None:
    rail = build_rail(state_of("unknown"), {}, {}, {}, [], {})
    assert [step.name for step in rail] == NAMES
    assert {(step.state, step.verdict, step.elapsed_s) for step in rail} == {("not_run", None, None)}
    assert all(step.page in ("data", "gate", "curves", "evals", "artifacts") for step in rail)


def test_each_place_shows_the_worst_of_its_checks_and_which_of_them_block() -> None:
    gate = {
        "checks": [
            check("corpus_manifest.json", "pass"),
            check("chat/train.jsonl", "block"),
            check("honesty.json", "not_run", required=True),
            check("base/report.json", "warn", required=False),
            check("sft/report.json", "pass"),
            check("eval/rows.jsonl", "waived"),
            check("benchmarks", "not_run", required=False),
            "torn",
            {"id": 3},
        ]
    }
    present = dict.fromkeys((layout.CORPUS_MANIFEST, "base/report.json", layout.GATE), True)
    preflight = {"verdict": "blocked", "manifest": {"duration_s": 1.5}}
    rail = {
        step.name: step
        for step in build_rail(state_of("finished", verdict="blocked"), present, gate, preflight, [], {}, stale=True)
    }
    verdicts = {name: step.verdict for name, step in rail.items()}
    assert verdicts == {
        "dataset": "block",
        "tokenizer": None,
        "preflight": "block",
        "base": "warn",
        "sft": "pass",
        "evaluate": "waived",
        "benchmark": "not_run",
        "summary": None,
        "gate": "stale",
    }
    assert rail["dataset"].blocking == ("chat/train.jsonl", "honesty.json")
    assert rail["preflight"].elapsed_s == 1.5
    assert (rail["dataset"].state, rail["sft"].state) == ("finished", "not_run")


def test_the_stage_at_work_shows_what_its_process_is_doing() -> None:
    present = {"base/report.json": True}
    for process in ("running", "stalled", "crashed", "stopped", "failed"):
        rail = {s.name: s.state for s in build_rail(state_of(process, stage="prediction"), present, {}, {}, [], {})}
        assert rail["base"] == process, "prediction belongs to the place of base"
        assert rail["sft"] == "not_run"


def test_a_verdict_counts_as_the_gate_counts() -> None:
    assert worst_of([]) is None
    assert worst_of([check("a", "pass"), check("b", "not_run", required=False)]) == "pass"
    assert worst_of([check("a", "pass"), check("b", "not_run")]) == "block"
    assert worst_of([check("b", "not_run", required=False)]) == "not_run"
    assert worst_of([check("a", "waived"), check("b", "warn")]) == "warn"


def test_time_is_summed_over_attempts_and_pauses_are_left_out() -> None:
    events = [
        event("stage_started", "dataset", 0),
        event("stage_finished", "dataset", 5, duration_s=5.0),
        event("stage_started", "honesty", 5),
        event("stage_finished", "honesty", 7, duration_s=2.0),
        event("stage_started", "base", 7),
        event("stage_started", "base", 40, attempt=2),
    ]
    heard = {1: "2026-01-01T00:00:17.000Z", 2: "2026-01-01T00:00:43.000Z"}
    assert elapsed_by_step(events, heard, None) == {"dataset": 7.0, "base": 10.0 + 3.0}
    assert elapsed_by_step(events, heard, "2026-01-01T00:00:50.000Z")["base"] == 10.0 + 10.0
    assert elapsed_by_step([event("stage_started", "base", 7)], {}, None) == {}
    assert elapsed_by_step([{"kind": "stage_started", "t": "x"}], {}, None) == {}


def test_seconds_between_times_that_are_none() -> None:
    assert seconds_between("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.500Z") == 60.5
    assert seconds_between("2026-01-01T00:01:00Z", "2026-01-01T00:00:00Z") == 0.0
    assert seconds_between(None, "2026-01-01T00:00:00Z") is None
    assert seconds_between("torn", "2026-01-01T00:00:00Z") is None
    assert seconds_between("2026-01-01T00:00:00", "2026-01-01T00:00:00Z") is None
