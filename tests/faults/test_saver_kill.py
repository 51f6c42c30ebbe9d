"""A1: kill -9 at random instants around saves; a fresh process finds the old or the new version, and saves on."""

import sys

import pytest
from tests.support.faults import torch_saver
from tests.support.faults.crashes import BAD_PROMISE, PROMISES, Promise, kill_rounds, saver_argv

SEED = 20_240_601
pytestmark = pytest.mark.alone
LEAST_IN_SAVE = 0.3
"""A campaign whose kills mostly fall between the saves would prove little."""


@pytest.mark.bar("A1")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", PROMISES)
def test_every_kill_leaves_the_old_or_the_new_version(tmp_path, way, size, measured):
    rounds = size(short=12, full=200)
    kills = kill_rounds(lambda version: saver_argv(tmp_path, way, version, "loop"), rounds, SEED, PROMISES[way])
    assert kills.breaches == []
    assert kills.in_save >= LEAST_IN_SAVE * rounds
    measured(f"{rounds} of {rounds} kills left the old or the new version ({way}; {kills.in_save} hit a save)")


@pytest.mark.bar("A1")
@pytest.mark.timeout(900)
def test_every_kill_of_the_real_checkpoint_writer(tmp_path, size, measured):
    rounds = size(short=2, full=30)
    argv = [sys.executable, torch_saver.__file__, str(tmp_path)]
    kills = kill_rounds(lambda version: [*argv, str(version), "loop"], rounds, SEED, Promise())
    assert kills.breaches == []
    measured(f"{rounds} of {rounds} with real checkpoints ({kills.in_save} hit a save)")


@pytest.mark.bar("A1")
@pytest.mark.parametrize("writer", ["in place", "remove, then rename"])
def test_the_campaign_turns_red_for_a_bad_writer(tmp_path, writer):
    """A missing fsync is not among them: the kernel outlives a killed process, so no kill can show it (see A3)."""
    argv = lambda version: saver_argv(tmp_path, writer, version, "loop")  # noqa: E731
    assert kill_rounds(argv, 200, SEED, BAD_PROMISE, until_red=True).breaches
