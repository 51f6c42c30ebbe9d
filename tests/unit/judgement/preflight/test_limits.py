"""The file of limits: complete, strict, and each level reached where it says."""

from pathlib import Path

import pytest

from picochat.core.errors import PicochatError
from picochat.judgement.preflight.limits import LIMITS, CheckLimits, load_limits
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS
from picochat.judgement.preflight.rules import PREFLIGHT_RULES


def test_every_check_has_limits_facts_and_a_rule():
    assert {row.id for row in load_limits().limits.checks} == set(PREFLIGHT_CHECKS) == set(PREFLIGHT_RULES)


def test_no_check_is_a_constant_pass():
    for row in load_limits().limits.checks:
        found = {row.level(value) for value in (-1e12, -1.0, 0.0, 0.05, 1.0, 100.0, 1e12)}
        assert "pass" in found and len(found) > 1, row.id


@pytest.mark.parametrize(
    ("value", "level"), [(0.1, "block"), (0.3, "release"), (0.7, "warn"), (1.0, "pass"), (3.0, "warn"), (9.0, "block")]
)
def test_the_worst_level_that_is_reached_counts(value: float, level: str):
    row = CheckLimits(id="x", block_below=0.2, block_above=5, release_below=0.5, warn_below=0.9, warn_above=2)
    assert row.level(value) == level


def test_the_limit_shown_is_the_one_that_was_missed():
    row = CheckLimits(id="x", release_above=30, warn_above=12, warn_below=0.25)
    assert row.threshold(50, low_is_good=True) == 30
    assert row.threshold(20, low_is_good=True) == 12
    assert row.threshold(0.1, low_is_good=True) == 0.25
    assert row.threshold(5, low_is_good=True) == 12


def test_a_release_limit_blocks_only_where_limits_are_strict():
    row = CheckLimits(id="x", release_above=30, warn_above=12)
    assert row.may_block(strict=True) and not row.may_block(strict=False)


@pytest.mark.parametrize("edit", [("version = 1", "version = 0"), ('id = "data.chars"', 'id = "data.charms"')])
def test_a_broken_file_is_refused(tmp_path: Path, edit: tuple[str, str]):
    path = tmp_path / "limits.toml"
    path.write_text(LIMITS.read_text().replace(*edit, 1))
    with pytest.raises(PicochatError):
        load_limits(path)
