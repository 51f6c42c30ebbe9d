"""A5: real checkpoints are swapped while another process loads them with the product's loader."""

import pytest
from tests.support.faults.saver import DAMAGED
from tests.support.faults.swaps import Load, Race, Save, overlapping, race, wrong_loads

pytestmark = [pytest.mark.bar("A5"), pytest.mark.timeout(900), pytest.mark.alone]


@pytest.mark.parametrize("way", ["exchange", "rename"])
def test_a_loader_beside_swaps_reads_the_old_or_the_new_one(tmp_path, way, size, measured):
    swaps = size(short=40, full=500)
    run = race(tmp_path / "run", swaps, way)
    assert len(run.saves) == swaps + 1
    assert wrong_loads(run) == []
    loads, beside = len(run.loads), overlapping(run)
    assert loads and beside >= 0.5 * swaps, "the loader must run beside the swaps"
    measured(f"{swaps} swaps ({way}), {beside} beside a load, {loads} loads: 0 mixed, 0 missing")


@pytest.mark.parametrize(("version", "word"), [(DAMAGED, "mixed"), (None, "missing"), (1, "version 1"), (4, "version")])
def test_the_judge_of_a_race_turns_red(version, word):
    saves = [Save(1, 0.0, 1.0), Save(2, 2.0, 3.0), Save(3, 4.0, 5.0), Save(4, 9.0, 10.0)]
    assert wrong_loads(Race(saves, [Load(2, 3.5, 4.5), Load(3, 3.5, 4.5)])) == []
    [wrong] = wrong_loads(Race(saves, [Load(version, 3.5, 4.5)]))
    assert word in wrong
