"""Money counts from the first billed second, over all attempts; the warning comes once and the stop in time."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError
from picochat.pipeline.spending.config import LaunchConfig
from picochat.pipeline.spending.meter import SpendingMeter, spent_before
from picochat.stages.contract import StopFlag

HOUR = 3600.0
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def config(**more: Any) -> LaunchConfig:
    """Eight dollars an hour, a cap of a hundred."""
    values = {"cap_usd": 100.0, "rate_usd_per_gpu_hour": 1.0, "gpus": 8, "reserve_s": 0.0} | more
    return LaunchConfig.from_dict(values, "test")


class Scene:
    """A meter on a clock that is moved by hand, with what it emitted."""

    def __init__(self, events: tuple[dict[str, Any], ...] = (), **more: Any) -> None:
        self.clock, self.stop, self.emitted = ManualClock(), StopFlag(), []
        self.meter = SpendingMeter(
            config(**more), events, self.clock, self.stop, lambda kind, fields: self.emitted.append((kind, fields))
        )

    def at(self, hours: float) -> dict[str, Any]:
        self.clock.now = hours * HOUR
        return self.meter.tick()


def event(second: float, attempt: int = 1, kind: str = "step", **more: Any) -> dict[str, Any]:
    when = START + datetime.timedelta(seconds=second)
    return {"t": when.isoformat(timespec="milliseconds"), "attempt": attempt, "kind": kind} | more


def test_an_hour_costs_the_rate_of_every_gpu():
    scene = Scene()
    assert scene.at(1)["spent_usd"] == 8.0 and scene.at(2.5)["spent_usd"] == 20.0


def test_seconds_before_the_program_are_billed():
    assert Scene(billed_before_s=HOUR).at(1)["spent_usd"] == 16.0


def test_the_warning_comes_once_at_four_fifths():
    scene = Scene()
    scene.at(9.9)
    assert scene.emitted == []
    scene.at(10)
    scene.at(11)
    assert [kind for kind, _ in scene.emitted] == ["warning"]
    assert scene.emitted[0][1] == {"code": "launch.cap_near", "spent_usd": 80.0, "cap_usd": 100.0}


def test_the_run_is_stopped_while_it_can_still_save():
    scene = Scene(reserve_s=0.5 * HOUR)
    scene.at(11.99)
    assert not scene.stop.requested
    scene.at(12)
    assert scene.stop.reason == "the spending cap: 96.00 of 100.00 dollars are spent"


def test_another_reason_to_stop_is_left_alone():
    scene = Scene()
    scene.stop.reason = "signal SIGTERM"
    scene.at(50)
    assert scene.stop.reason == "signal SIGTERM"


def test_without_a_cap_nothing_is_counted():
    scene = Scene(cap_usd=None)
    assert scene.at(1000) == {} and not scene.stop.requested
    scene.meter.record()
    assert scene.emitted == []


def test_an_attempt_starts_from_what_the_last_one_wrote_down():
    scene = Scene((event(0), event(10, kind="spending", spent_usd=70.0)))
    assert scene.at(1)["spent_usd"] == 78.0


def test_an_attempt_that_was_killed_is_billed_to_its_last_event():
    rate = 8 / HOUR
    assert spent_before([event(0), event(100)], config()) == pytest.approx(100 * rate)
    written = [event(0), event(50, kind="spending", spent_usd=50 * rate), event(100)]
    assert spent_before(written, config()) == pytest.approx(100 * rate)


def test_the_pause_between_two_attempts_is_not_known_to_be_billed():
    found = spent_before([event(0), event(100), event(900, 2), event(950, 2)], config())
    assert found == pytest.approx(150 * 8 / HOUR)


def test_every_attempt_pays_for_its_own_set_up():
    found = spent_before([event(0), event(900, 2)], config(billed_before_s=60.0))
    assert found == pytest.approx(120 * 8 / HOUR)


@given(st.lists(st.floats(0, 3000), min_size=1, max_size=20))
def test_more_events_never_cost_less(seconds: list[float]):
    events = [event(second) for second in sorted(seconds)]
    costs = [spent_before(events[:count], config()) for count in range(len(events) + 1)]
    assert costs == sorted(costs)


def test_what_was_spent_is_written_down():
    scene = Scene()
    scene.clock.now = HOUR
    scene.meter.record()
    assert scene.emitted == [("spending", {"spent_usd": 8.0, "cap_usd": 100.0})]


def test_a_cap_without_a_rate_is_refused():
    with pytest.raises(PicochatError) as caught:
        LaunchConfig.from_dict({"cap_usd": 5.0}, "test")
    assert caught.value.code == "config.conflict" and "rate_usd_per_gpu_hour" in str(caught.value.fix)


@pytest.mark.parametrize(
    "values", [{"cap_usd": 0}, {"cap_usd": float("nan")}, {"gpus": 0}, {"rate_usd_per_gpu_hour": -1}]
)
def test_impossible_money_is_refused(values: dict[str, Any]):
    with pytest.raises(PicochatError):
        LaunchConfig.from_dict({"cap_usd": 1.0, "rate_usd_per_gpu_hour": 1.0} | values, "test")
