"""A2: each file-system call of a save killed, failed with EIO and failed with ENOSPC; and the order of its syncs."""

import random

import pytest
from tests.support.faults.crashes import BAD_PROMISE, PROMISES
from tests.support.faults.syscalls import Case, break_each, order_of_a_save, points_of_a_save, require_strace

pytestmark = [pytest.mark.bar("A2"), pytest.mark.timeout(900)]
SEED, SHORT = 7, 5
STATES = [("exchange", 2), ("rename", 2), ("exchange", 1), ("rename", 1), ("exchange", 0)]
"""Way of swapping, saves before. A first save has nothing to exchange, so both ways are one."""


@pytest.fixture(autouse=True)
def strace() -> None:
    require_strace()


@pytest.mark.parametrize(("way", "saves_before"), STATES)
def test_each_call_of_a_save_killed_or_failed(tmp_path, way, saves_before, size, measured):
    case = Case(tmp_path / "run", way, saves_before, PROMISES[way])
    found = points_of_a_save(case.folder, way, saves_before)
    points = random.Random(SEED).sample(found, size(SHORT, len(found)))
    assert break_each(case, points) == []
    measured(f"{len(points)} of {len(found)} points of a save after {saves_before} ({way})")


@pytest.mark.parametrize(("way", "saves_before"), STATES)
def test_everything_is_synced_before_it_counts(tmp_path, way, saves_before):
    assert order_of_a_save(tmp_path / "run", way, saves_before) == []


@pytest.mark.parametrize("writer", ["in place", "remove, then rename"])
def test_the_campaign_turns_red_for_a_bad_writer(tmp_path, writer):
    case = Case(tmp_path / "run", writer, 2, BAD_PROMISE)
    points = [point for point in points_of_a_save(case.folder, writer, 2) if point.action == "kill"]
    assert break_each(case, reversed(points), until_red=True), "its weak points are near the end"


@pytest.mark.parametrize(
    ("writer", "missing"),
    [
        ("no fsync", ["a", "b", "c", "MANIFEST.json"]),
        ("no folder fsync", ["the new folder", "the parent", "the parent"]),
        ("in place", ["nothing was renamed"]),
    ],
)
def test_the_order_of_syncs_turns_red_for_a_bad_writer(tmp_path, writer, missing):
    wrong = order_of_a_save(tmp_path / "run", writer)
    assert len(wrong) == len(missing)
    assert all(text.startswith(start) for text, start in zip(wrong, missing, strict=True))
