"""Alerts of a run: each kind has its sign, a number, and a name that stays while the same thing goes on."""

from typing import Any

import pytest

from picochat.views.runs.alerts import PLATEAU_EVALS, Alert, find_alerts
from picochat.views.runs.run_state import RunState

GB = 10**9


def state(process: str = "running", verdict: str | None = None) -> RunState:
    found = RunState("r", process, "base", 40, 100, None, None, None, None, verdict, "research", None)
    return found._replace(process=process, attempt=1, updated_at="2026-01-01T00:00:00.000Z")


def event(kind: str, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "attempt": attempt, "stage": "base", "t": "2026-01-01T00:00:01.000Z", **fields}


def evals(*values: float, first: int = 1, stage: str = "base") -> list[dict[str, Any]]:
    return [event("eval", bpb=value, step=first + n, stage=stage) for n, value in enumerate(values)]


def kinds(*events: dict[str, Any], process: str = "running", **options: Any) -> list[str]:
    return [alert.kind for alert in find_alerts(state(process), events, **options)]


def only(*events: dict[str, Any], **options: Any) -> Alert:
    found = find_alerts(state(), events, **options)
    assert len(found) == 1
    return found[0]


def test_a_run_that_goes_well_calls_for_nothing():
    steps = [event("stage_started"), *evals(*(3.0 - n / 10 for n in range(12))), event("warning", code="dataset")]
    assert kinds(*steps, free_bytes=100 * GB, save_bytes=GB) == []


def test_numbers_that_are_not_finite_and_spikes_are_told_apart():
    bad = event("guard_skipped", step=7, loss=None, grad_norm=None)
    spike = event("guard_skipped", step=9, loss=90.0, grad_norm=1.0)
    assert kinds(bad, spike, spike) == ["nan", "spike"]
    assert only(bad).tone == "block" and "1 step was rejected" in only(bad).text and "step 7" in only(bad).text
    assert only(spike, spike).text.startswith("2 steps were rejected")


def test_the_name_stays_while_it_goes_on():
    first, second = (event("guard_skipped", step=step, loss=None, grad_norm=1.0) for step in (7, 8))
    assert only(first).id == only(first, second).id == "nan:1:7"
    assert only(event("stage_started"), event("guard_skipped", 2, step=7, loss=None)).id == "nan:2:7"


def test_what_an_earlier_attempt_met_is_over():
    assert kinds(event("failed", code="disk.full", detail="no space"), event("resumed", 2)) == []
    assert kinds(event("guard_skipped", step=7, loss=None), event("stage_started", 2)) == []


@pytest.mark.parametrize(
    ("code", "kind"), [("launch.peer_lost", "rank_lost"), ("workers.lost", "rank_lost"), ("disk.full", "disk")]
)
def test_what_ended_it_is_said_in_its_words(code: str, kind: str):
    alert = only(event("failed", code=code, detail="rank 3 is gone"))
    assert (alert.kind, alert.tone, alert.text) == (kind, "block", "rank 3 is gone")
    assert kinds(event("failed", code="run.stopped", detail="asked for")) == []


def test_a_curve_that_no_longer_falls_is_a_plateau():
    falling = evals(*(3.0 - n / 10 for n in range(PLATEAU_EVALS)))
    flat = evals(*[2.6] * PLATEAU_EVALS, first=20)
    alert = only(*falling, *flat)
    assert alert.kind == "plateau" and "2.600 of step 5" in alert.text
    assert kinds(*falling, *flat[:-1]) == [], "too few looks"
    assert kinds(*falling, *flat[:-1], *evals(2.59)) == [], "one of them was better"
    assert kinds(*falling, *flat[:-1], *evals(2.5995)) == ["plateau"], "less than is shown is no gain"
    assert kinds(*falling, *flat[:-1], *evals(2.6, stage="sft")) == [], "another stage begins anew"


def test_the_cap_and_the_disk_are_told_before_they_end_it():
    cap = only(event("warning", code="launch.cap_near", spent_usd=344.0, cap_usd=430.0))
    assert cap.kind == "cap" and cap.text.startswith("$344.00 of $430.00")
    assert only(free_bytes=2 * GB, save_bytes=GB).tone == "warn"
    assert only(free_bytes=GB, save_bytes=GB).tone == "block"
    assert kinds(free_bytes=None, save_bytes=GB) == kinds(free_bytes=GB, save_bytes=None) == []


def test_a_run_that_has_finished_is_left_to_its_gate():
    spike = event("guard_skipped", step=9, loss=90.0, grad_norm=1.0)
    assert kinds(spike, process="finished") == [] and kinds(spike, process="failed") == ["spike"]
    assert [alert.kind for alert in find_alerts(state("finished", "blocked"), [spike])] == ["blocked"]


@pytest.mark.parametrize(("process", "kind"), [("stalled", "stalled"), ("crashed", "crashed")])
def test_what_the_state_says_is_an_alert_too(process: str, kind: str):
    assert kinds(process=process) == [kind]


def test_a_blocked_gate_stands_before_what_only_warns():
    found = find_alerts(
        state(verdict="blocked"), [event("warning", code="launch.cap_near", spent_usd=1.0, cap_usd=1.0)]
    )
    assert [alert.kind for alert in found] == ["blocked", "cap"]
