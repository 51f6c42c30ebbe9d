"""One start for one confirmed plan: replayed, expired, parallel, foreign and edited confirmations start nothing."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.launch_plans import plan_json, sound_plan

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError, refuse
from picochat.pipeline.launch.confirm import LIFETIME_S, MAX_OPEN, Confirmations
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.start import Recorder, Started, start_launch

CAP = "430.00"


def check(verdict: str = "pass") -> CheckResult:
    return CheckResult(id="target.reachable", verdict=verdict, required=True, why="because", fix="mend it")


class Room:
    """A desk with a plan, confirmations on a clock that is moved by hand, and a provider that records."""

    def __init__(self, root: Path) -> None:
        self.desk, self.clock, self.plan = LaunchDesk(root), ManualClock(), sound_plan()
        self.confirmations, self.provider = Confirmations(self.clock), Recorder()
        self.desk.add_plan(self.plan)

    def challenge(self, plan: LaunchPlan | None = None, login: str = "me") -> str:
        return self.confirmations.issue(plan or self.plan, login).value

    def start(
        self, value: str, cap: str = CAP, login: str = "me", plan: LaunchPlan | None = None, verdict: str = "pass"
    ) -> Started:
        chosen = plan or self.plan
        return start_launch(
            self.desk,
            chosen,
            lambda: self.confirmations.consume(value, chosen, login, cap),
            lambda _: [check(verdict)],
            self.provider,
            login,
        )

    def refused(self, act: Callable[[], object]) -> str:
        with pytest.raises(PicochatError) as caught:
            act()
        assert caught.value.exit_code in (2, 3, 4)
        return caught.value.code


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_confirmed_plan_starts_once(room: Room):
    started = room.start(room.challenge())
    assert started.id == "recorded-1" and room.provider.started == [room.plan]
    found = room.desk.read_start(room.plan.digest())
    assert found is not None and (found["state"], found["id"]) == ("started", "recorded-1")


def test_the_audit_names_it_before_and_after(room: Room):
    room.start(room.challenge())
    lines = room.desk.audit_lines(room.plan.digest())
    assert [line["action"] for line in lines] == ["confirmed", "started"]
    assert lines[0]["cap_usd"] == CAP and lines[0]["argv"] == list(room.plan.argv) and lines[0]["login"] == "me"


def test_a_used_confirmation_starts_nothing(room: Room):
    value = room.challenge()
    room.start(value)
    assert room.refused(lambda: room.start(value)) == "launch.started"
    assert room.refused(lambda: room.confirmations.consume(value, room.plan, "me", CAP)) == "launch.challenge"
    assert len(room.provider.started) == 1


def test_a_second_confirmation_does_not_start_the_plan_again(room: Room):
    room.start(room.challenge())
    assert room.refused(lambda: room.start(room.challenge())) == "launch.started"
    assert len(room.provider.started) == 1


def test_an_expired_confirmation_starts_nothing(room: Room):
    value = room.challenge()
    room.clock.now = LIFETIME_S + 0.001
    assert room.refused(lambda: room.start(value)) == "launch.challenge"
    assert room.provider.started == []


def test_a_confirmation_holds_to_its_last_moment(room: Room):
    value = room.challenge()
    room.clock.now = LIFETIME_S
    assert room.start(value).id


@pytest.mark.parametrize("value", ["", "0" * 32, "x"])
def test_an_unknown_confirmation_starts_nothing(room: Room, value: str):
    room.challenge()
    assert room.refused(lambda: room.start(value)) == "launch.challenge"
    assert room.provider.started == []


def test_the_confirmation_of_another_plan_starts_nothing(room: Room):
    other = sound_plan(nonce="1" * 32)
    room.desk.add_plan(other)
    value = room.challenge(other)
    assert room.refused(lambda: room.start(value)) == "launch.challenge"
    assert room.provider.started == []


def test_the_confirmation_of_somebody_else_starts_nothing(room: Room):
    value = room.challenge(login="you")
    assert room.refused(lambda: room.start(value)) == "launch.challenge"
    assert room.provider.started == []


@pytest.mark.parametrize("cap", ["430", "430.0", "430.01", "429.99", " 430.00", "430.00 ", "", "431.00", "$430.00"])
def test_a_cap_that_is_not_typed_to_the_letter_starts_nothing_and_spends_the_confirmation(room: Room, cap: str):
    value = room.challenge()
    assert room.refused(lambda: room.start(value, cap)) == "launch.cap"
    assert room.refused(lambda: room.start(value)) == "launch.challenge"
    assert room.provider.started == []


def test_a_plan_that_was_changed_after_it_was_confirmed_starts_nothing(room: Room):
    value = room.challenge()
    path = room.desk.plan_path(room.plan.digest())
    body = json.loads(path.read_text())
    body["gpus_per_node"] = 64
    path.write_text(json.dumps(body))
    assert room.refused(lambda: room.start(value)) == "launch.plan"
    assert room.provider.started == []


def test_a_plan_that_is_not_on_the_desk_starts_nothing(room: Room):
    stranger = sound_plan(nonce="2" * 32)
    value = room.challenge(stranger)
    assert room.refused(lambda: room.start(value, plan=stranger)) == "launch.unknown"
    assert room.provider.started == []


@pytest.mark.parametrize("verdict", ["block", "not_run"])
def test_a_precondition_that_does_not_hold_starts_nothing_and_keeps_the_confirmation(room: Room, verdict: str):
    value = room.challenge()
    assert room.refused(lambda: room.start(value, verdict=verdict)) == "launch.blocked"
    assert room.provider.started == []
    assert room.desk.audit_lines()[-1]["code"] == "launch.blocked"
    assert room.start(value).id


def test_no_preconditions_are_no_readiness(room: Room):
    value = room.challenge()
    confirm = lambda: room.confirmations.consume(value, room.plan, "me", CAP)  # noqa: E731
    code = room.refused(lambda: start_launch(room.desk, room.plan, confirm, lambda _: [], room.provider, "me"))
    assert code == "launch.blocked" and room.provider.started == []


def test_of_twenty_at_once_one_starts(room: Room):
    shared, codes, ready = room.challenge(), [], threading.Barrier(20)

    def race(own: str) -> None:
        ready.wait()
        try:
            room.start(own)
            codes.append("started")
        except PicochatError as err:
            codes.append(err.code)

    values = [shared] * 10 + [room.challenge() for _ in range(10)]
    threads = [threading.Thread(target=race, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(set(codes)) == ["launch.started", "started"] and codes.count("started") == 1
    assert len(room.provider.started) == 1


def test_two_desks_on_one_folder_start_it_once(room: Room, tmp_path: Path):
    """As two processes would: each with its own confirmations."""
    other = Room(tmp_path)
    room.start(room.challenge())
    assert other.refused(lambda: other.start(other.challenge())) == "launch.started"
    assert other.provider.started == []


def test_a_start_that_failed_is_not_tried_again(room: Room):
    class Broken:
        calls = 0

        def start(self, plan: LaunchPlan) -> Started:
            self.calls += 1
            refuse("launch.provider", "the connection was lost")

    broken, value = Broken(), room.challenge()
    room.provider = broken
    with pytest.raises(PicochatError) as caught:
        room.start(value)
    assert caught.value.code == "launch.provider" and caught.value.exit_code == 5
    assert room.refused(lambda: room.start(room.challenge())) == "launch.started" and broken.calls == 1
    assert [line["action"] for line in room.desk.audit_lines()] == ["confirmed", "failed", "refused"]


def test_secrets_do_not_reach_the_desk(room: Room):
    secret = "hf_" + "a1" * 15
    room.desk.audit("note", room.plan.digest(), detail=f"token {secret}")
    assert secret not in (room.desk.root / layout.DESK_AUDIT).read_text()


def test_a_torn_line_of_the_trail_is_survived(room: Room):
    room.desk.audit("one", "d")
    with (room.desk.root / layout.DESK_AUDIT).open("ab") as stream:
        stream.write(b'{"action": "tw')
    assert [line["action"] for line in room.desk.audit_lines()] == ["one"]


def test_waiting_confirmations_are_bounded(room: Room):
    first = room.challenge()
    for _ in range(MAX_OPEN):
        room.challenge()
    assert room.refused(lambda: room.start(first)) == "launch.challenge"


def test_a_plan_is_found_by_its_first_digits(room: Room):
    digest = room.plan.digest()
    assert room.desk.find_plan(digest[:8]) == room.plan == room.desk.find_plan(str(room.desk.plan_path(digest)))
    assert room.desk.plans() == [room.plan]


@pytest.mark.parametrize("name", ["", "abc", "../plans/x", "zzzzzzzz", "*" * 8, "0" * 64, "-" * 9])
def test_a_name_that_is_no_plan_is_refused(room: Room, name: str):
    assert room.refused(lambda: room.desk.find_plan(name)) == "launch.unknown"


def test_a_plan_that_was_added_twice_is_one(room: Room):
    path = room.desk.add_plan(room.plan)
    before = path.stat().st_mtime_ns
    assert room.desk.add_plan(sound_plan(name=plan_json()["name"])) == path and path.stat().st_mtime_ns == before
