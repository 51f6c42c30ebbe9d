from __future__ import annotations

import math
from typing import Any

import pytest

from picochat.pipeline.replay_ledger import CLOSE_FRAC, compare_ledgers


def line(step: int, loss: float = 2.0, **changes: Any) -> dict[str, Any]:
    known = {"step": step, "verdict": "ok", "loss": loss.hex(), "grad_norm": (1.0).hex(), "targets": 8}
    return known | {"documents": f"d{step}", "rng": "r"} | changes


RECORDED = [line(step) for step in (1, 2, 3)]


def replay(step: int, **changes: Any) -> list[dict[str, Any]]:
    return [line(n, **changes) if n == step else line(n) for n in (1, 2, 3)]


@pytest.mark.parametrize("tolerant", [False, True])
def test_equal_lines_are_equal(tolerant: bool) -> None:
    found = compare_ledgers(RECORDED, RECORDED, tolerant=tolerant)
    assert (found.word, found.steps, found.differing, found.first, found.largest_frac) == ("equal", 3, 0, None, 0.0)


def test_the_last_bit_of_a_loss_is_a_difference_and_the_first_one_is_named() -> None:
    near = math.nextafter(2.0, 3.0)
    found = compare_ledgers(RECORDED, replay(2, loss=near), tolerant=False)
    assert (found.word, found.differing) == ("different", 1)
    assert found.first == (2, "loss", (2.0).hex(), near.hex())
    close = compare_ledgers(RECORDED, replay(2, loss=near), tolerant=True)
    assert (close.word, close.differing, close.first) == ("close", 1, found.first)
    assert close.largest_frac == pytest.approx(2.2e-16, rel=0.1)


@pytest.mark.parametrize("key", ["documents", "targets", "verdict"])
def test_other_work_is_never_close(key: str) -> None:
    for tolerant in (False, True):
        found = compare_ledgers(RECORDED, replay(3, **{key: "another"}), tolerant=tolerant)
        assert found.word == "different" and found.first and (found.first.step, found.first.key) == (3, key)


def test_generators_and_norms_may_differ_where_closeness_was_asked_for() -> None:
    changed = replay(1, rng="another", grad_norm=(1.1).hex())
    assert compare_ledgers(RECORDED, changed, tolerant=True).word == "close"
    assert compare_ledgers(RECORDED, changed, tolerant=False).word == "different"


@pytest.mark.parametrize("loss", [2.0 * (1 + 2 * CLOSE_FRAC), math.inf, math.nan])
def test_a_loss_that_is_far_away_is_different(loss: float) -> None:
    found = compare_ledgers(RECORDED, replay(2, loss=loss), tolerant=True)
    assert found.word == "different" and found.first and found.first.key == "loss"


def test_a_missing_step_an_extra_field_and_no_steps_are_different() -> None:
    assert compare_ledgers(RECORDED, RECORDED[:2], tolerant=True).word == "different"
    assert compare_ledgers(RECORDED, replay(2, state="s"), tolerant=False).word == "different"
    assert compare_ledgers([], [], tolerant=True).word == "different"
    assert compare_ledgers(RECORDED, replay(1, loss_is_no_number=True) + [], tolerant=True).word == "close"


def test_a_loss_that_is_no_number_is_different() -> None:
    assert compare_ledgers(RECORDED, replay(1)[:2] + [line(3) | {"loss": 7}], tolerant=True).word == "different"
