"""What must hold at a start: each precondition passes, blocks, and is not run where nobody can say."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun
from tests.support.launch_plans import plan_json
from tests.support.launch_room import PASSED, Room

from picochat.artifacts import layout
from picochat.core.errors import refuse


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("small") / "run").build(n=4).root


@pytest.fixture
def room(tmp_path: Path, small: Path) -> Room:
    return Room(tmp_path, small)


def money(**changes: Any) -> dict[str, Any]:
    return plan_json()["money"] | changes


def test_a_ready_plan_is_ready(room: Room):
    words = room.judge()
    assert words.pop("launch.estimate") == "warn", "371 of 430 dollars is over four fifths"
    assert set(words.values()) == {"pass"} and len(words) == 7


def test_an_estimate_well_under_the_cap_passes(room: Room):
    assert room.judge(room.make(money=money(cap_usd="500.00")))["launch.estimate"] == "pass"


def test_an_estimate_over_the_cap_blocks(room: Room):
    assert room.judge(room.make(money=money(cap_usd="370.99")))["launch.estimate"] == "block"


def test_a_file_that_changed_blocks(room: Room):
    with room.store.path(layout.CORPUS).open("ab") as stream:
        stream.write(b" ")
    assert room.judge()["launch.files"] == "block"


def test_a_file_that_is_gone_blocks(room: Room):
    room.store.path(layout.CORPUS).unlink()
    assert room.judge()["launch.files"] == "block"


def test_other_code_blocks(room: Room):
    assert room.judge(room.make(code_digest="0" * 64))["launch.code"] == "block"


@pytest.mark.parametrize(
    ("verdict", "column", "word"),
    [("warn", "release", "pass"), ("blocked", "release", "block"), ("pass", "research", "block")],
)
def test_preflight_must_not_block_under_the_limits_of_a_release(room: Room, verdict: str, column: str, word: str):
    room.write_preflight(verdict, column)
    assert room.judge(room.make())["launch.preflight"] == word


def test_a_preflight_made_after_the_plan_is_another_one(room: Room):
    room.write_preflight("warn")
    assert room.judge()["launch.preflight"] == "block"


def test_an_edited_preflight_is_not_believed(room: Room):
    path = room.store.path(layout.PREFLIGHT)
    path.write_text(path.read_text().replace('"pass"', '"warn"'))
    assert room.judge(room.make())["launch.preflight"] == "not_run"


def test_without_a_preflight_it_was_not_run(room: Room):
    plan = room.make(preflight_digest=None)
    assert room.judge(plan)["launch.preflight"] == "not_run"


@pytest.mark.parametrize("text", ["max_cap_usd = 429.99\n", "max_cap_usd = 1\n"])
def test_a_cap_above_the_ceiling_blocks(room: Room, text: str):
    (room.desk.root / layout.DESK_SETTINGS).write_text(text)
    assert room.judge()["launch.ceiling"] == "block"


@pytest.mark.parametrize("text", ["", "max_cap_usd = true\n", 'max_cap_usd = "500"\n', "broken = [", "\xff"])
def test_without_a_ceiling_it_was_not_run(room: Room, text: str):
    (room.desk.root / layout.DESK_SETTINGS).write_bytes(text.encode("latin-1"))
    assert room.judge()["launch.ceiling"] == "not_run"


def test_a_dry_run_is_asked_for_and_holds_for_a_day(room: Room):
    assert room.judge(room.make(nonce="1" * 32))["launch.dry_run"] == "not_run"
    assert room.judge(later=datetime.timedelta(hours=23))["launch.dry_run"] == "pass"
    assert room.judge(later=datetime.timedelta(hours=25))["launch.dry_run"] == "block"


def test_a_dry_run_that_was_blocked_blocks(room: Room):
    room.desk.write_dry_run(room.plan.digest(), [PASSED.model_copy(update={"verdict": "block"})], "dry")
    assert room.judge()["launch.dry_run"] == "block"


def test_the_dry_run_itself_needs_none(room: Room):
    assert "launch.dry_run" not in room.judge(room.make(dry_run_of="a" * 64))


def test_a_machine_that_does_not_answer_blocks(room: Room):
    def silent() -> int:
        refuse("launch.provider", "no route")

    words = room.judge(ask=silent)
    assert words["launch.reachable"] == "block" and words["launch.disk"] == "not_run"


def test_a_disk_that_is_too_small_blocks(room: Room):
    assert room.judge(ask=lambda: 10**9)["launch.disk"] == "block"


def test_where_nobody_can_ask_it_was_not_run(room: Room):
    words = room.judge(ask=None)
    assert words["launch.reachable"] == words["launch.disk"] == "not_run"
