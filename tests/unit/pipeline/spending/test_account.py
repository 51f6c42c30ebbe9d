"""Time and money of a run: a band of what is left, and dollars that are billed time times rate."""

import json
from pathlib import Path
from typing import Any

import pytest

from picochat.pipeline.spending.account import FEWEST_STEPS, RunAccount
from picochat.pipeline.spending.config import LaunchConfig
from picochat.pipeline.spending.meter import spent_before
from picochat.views.runs.run_state import RunState

RATE = LaunchConfig(rate_usd_per_gpu_hour=3.0, gpus=8, cap_usd=1.0)
USD_PER_S = 24 / 3600


def state(
    step: int | None = 40, name: str = "running", stage: str = "base", spent_usd: float | None = None
) -> RunState:
    found = RunState("r", name, stage, step, 100, None, None, None, None, None, None, None)
    return found._replace(process=name, spent_usd=spent_usd)


def event(second: float, kind: str = "step", attempt: int = 1, **fields: Any) -> dict[str, Any]:
    minute, rest = divmod(second, 60)
    return {
        "t": f"2026-01-01T00:{int(minute):02d}:{rest:06.3f}Z",
        "kind": kind,
        "attempt": attempt,
        "stage": "base",
        **fields,
    }


def steps(*seconds: float, first: int = 10, attempt: int = 1) -> list[dict[str, Any]]:
    """A step event at each of the times, ten steps apart."""
    return [event(second, step=first + 10 * number, attempt=attempt) for number, second in enumerate(seconds)]


def write(path: Path, events: list[dict[str, Any]], tail: str = "", mode: str = "a") -> Path:
    with path.open(mode) as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in events) + tail)
    return path


def test_what_is_left_is_a_band_of_the_quartiles_of_step_times(tmp_path: Path):
    events = write(tmp_path / "e", steps(0, 10, 30, 60, 100, 150))
    account = RunAccount(RATE).read(events, state(60))
    assert account.step_s == (2.0, 3.0, 4.0) and account.n == 5
    assert account.eta_s == (80.0, 120.0, 160.0)
    assert account.projected_usd == pytest.approx([(150 + left) * USD_PER_S for left in (80, 120, 160)])


def test_accrued_is_billed_time_times_rate(tmp_path: Path):
    lines = [*steps(0, 50, 100), *steps(400, 430, attempt=2), event(460, "spending", 2, spent_usd=0.0)]
    events = write(tmp_path / "e", lines)
    account = RunAccount(RATE).read(events, state(name="crashed"))
    assert account.billed_s == pytest.approx(100 + 60), "the pause between two attempts was not counted"
    assert account.usd_per_hour == pytest.approx(24.0)
    assert account.accrued_usd == pytest.approx(160 * 24 / 3600)
    assert account.accrued_usd == pytest.approx(spent_before(lines, RATE)), "the same as the run's own meter"
    assert account.spent_frac == pytest.approx(160 * 24 / 3600)
    assert (account.warns_at_usd, account.stops_at_usd) == (0.8, pytest.approx(1.0 - 120 * USD_PER_S))


def test_the_run_s_own_live_figure_counts_when_it_is_larger(tmp_path: Path):
    events = write(tmp_path / "e", steps(0, 50))
    for live, wanted in ((0.9, 0.9), (0.1, 50 * USD_PER_S), (None, 50 * USD_PER_S)):
        found = RunAccount(RATE).read(events, state(spent_usd=live))
        assert found.accrued_usd == pytest.approx(wanted)


def test_later_reads_take_what_was_appended(tmp_path: Path):
    events, account, lines = tmp_path / "e", RunAccount(RATE), steps(0, 10, 20, 40, 60, 90, 130)
    for number, line in enumerate(lines):
        half = json.dumps(lines[number])[:20]
        write(events, [], half)
        torn = account.read(events, state())
        with events.open("r+b") as stream:
            stream.seek(-len(half), 2)
            stream.truncate()
        write(events, [line])
        whole = account.read(events, state())
        assert (torn.billed_s or 0) <= (whole.billed_s or 0)
    assert account.read(events, state()) == RunAccount(RATE).read(events, state())
    write(events, steps(0, 1), mode="w")
    assert account.read(events, state()).billed_s == pytest.approx(1.0), "a file that was replaced begins anew"


def test_a_new_attempt_or_stage_has_a_band_of_its_own(tmp_path: Path):
    events = write(tmp_path / "e", [*steps(0, 100, 200, 300, 400), *steps(500, 510, 520, 530, 540, attempt=2)])
    assert RunAccount(RATE).read(events, state()).step_s == (1.0, 1.0, 1.0)
    assert RunAccount(RATE).read(events, state(stage="sft")).step_s is None


@pytest.mark.parametrize("name", ["stopped", "crashed", "stalled", "finished"])
def test_a_run_that_is_not_running_has_no_end_in_sight(tmp_path: Path, name: str):
    events = write(tmp_path / "e", steps(0, 10, 20, 30, 40))
    found = RunAccount(RATE).read(events, state(name=name))
    assert found.step_s is not None and found.eta_s is None and found.projected_usd is None


def test_what_is_not_known_is_none(tmp_path: Path):
    free = RunAccount(LaunchConfig()).read(tmp_path / "none", state(None))
    assert free.accrued_usd is free.billed_s is free.usd_per_hour is free.cap_usd is free.eta_s is free.step_s is None
    few = write(tmp_path / "e", steps(*range(FEWEST_STEPS)))
    assert RunAccount(RATE).read(few, state()).step_s is None


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path):
    bad = ["nonsense", "[1]", '{"kind": "step"}', '{"t": "x", "kind": "step", "attempt": 1}', ""]
    events = write(tmp_path / "e", steps(0, 10), "\n".join(bad) + "\n")
    write(events, steps(20, 30, 40, first=30))
    assert RunAccount(RATE).read(events, state()).step_s == (1.0, 1.0, 1.0)
