"""A3: the power is cut at random instants; the disk of that instant gives a version not older than acknowledged."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.faults.crashes import BAD_PROMISE, PROMISES
from tests.support.faults.powercut import LYING_FSYNC, MEMORY, Lab, cut_rounds, power_lab
from tests.support.faults.syscalls import require_strace

pytestmark = [pytest.mark.bar("A3"), pytest.mark.timeout(900)]
SEED = 11


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """In memory where there is room: what counts as the disk is what ext4 has handed over, not where the image lies."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 << 30
    folder = Path(tempfile.mkdtemp(dir=MEMORY)) if roomy else tmp_path_factory.mktemp("lab")
    try:
        with power_lab(folder) as found:
            yield found
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("way", PROMISES)
def test_every_cut_keeps_what_was_acknowledged(lab, way, size, measured):
    rounds = size(short=4, full=200)
    cuts = cut_rounds(lab, way, rounds, SEED, PROMISES[way])
    assert cuts.breaches == []
    measured(f"{rounds} of {rounds} cuts kept what was acknowledged ({way}; {cuts.in_save} hit a save)")


@pytest.mark.parametrize(
    "writer",
    [
        "no fsync",
        "no folder fsync",
        pytest.param("in place", marks=pytest.mark.full_size),
        pytest.param("remove, then rename", marks=pytest.mark.full_size),
    ],
)
def test_the_campaign_turns_red_for_a_bad_writer(lab, writer):
    assert cut_rounds(lab, writer, 300, SEED, BAD_PROMISE, until_red=True).breaches


def test_the_campaign_turns_red_when_fsync_lies(lab):
    require_strace()
    assert cut_rounds(lab, "exchange", 50, SEED, PROMISES["exchange"], wrapper=LYING_FSYNC, until_red=True).breaches
