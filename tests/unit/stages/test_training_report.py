"""Losses of a training in its report: a step that the guard rejected may have none."""

from math import inf, nan

import pytest

from picochat.stages.training_report import _mean_loss, _show_loss


@pytest.mark.parametrize(
    ("losses", "mean"), [([2.0, 4.0], 3.0), ([2.0, nan, 4.0, inf], 3.0), ([nan], None), ([], None)]
)
def test_the_mean_is_of_the_finite_losses(losses: list[float], mean: float | None):
    assert _mean_loss(losses) == mean


def test_a_loss_that_nobody_knows_is_said_to_be_unknown():
    assert (_show_loss(None), _show_loss(2.5)) == ("unknown", "2.500")
