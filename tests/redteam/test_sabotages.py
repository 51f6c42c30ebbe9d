"""Every sabotage of the table ends blocked under skill_release, by the check that is there for it."""

from __future__ import annotations

import pytest
from tests.redteam import more_sabotages
from tests.redteam.conftest import Print
from tests.redteam.sabotages import SABOTAGES, build_long
from tests.redteam.scene import Sabotage, Scene, Verdict, judge_scene
from tests.support.green_shards import train_on_shards

assert more_sabotages.SABOTAGES is SABOTAGES
PARAMETERS = [
    pytest.param(row, id=f"{row.number}-{row.what}", marks=[pytest.mark.xfail(reason=row.hole)] if row.hole else [])
    for row in SABOTAGES
]


def test_the_table_holds_each_of_the_32_once() -> None:
    numbers = [row.number for row in SABOTAGES]
    assert len(set(numbers)) == len(numbers)
    assert {int(number.rstrip("ab")) for number in numbers} >= set(range(1, 33))


@pytest.mark.parametrize("row", PARAMETERS)
def test_a_sabotage_is_blocked_by_its_check(row: Sabotage, scene: Scene, untouched: Verdict, table: Print) -> None:
    assert (untouched.verdict, untouched.checks[row.check]["verdict"]) == ("approved", "pass")
    row.apply(scene)
    found = scene.judge()
    table(row.number, row.what, row.check, found, f"NOT CAUGHT: {row.hole}" if row.hole else row.form)
    assert found.verdict == "blocked"
    assert row.check in found.blocking()


def test_the_same_shards_with_boundaries_and_without_overlap_are_not_blocked(scene: Scene) -> None:
    train_on_shards(scene.run)
    scene.cover_up()
    assert judge_scene(scene.root).verdict == "approved"
    build_long(scene, boundary_tokens=True)
    assert judge_scene(scene.root).verdict == "approved"
