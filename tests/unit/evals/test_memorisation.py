import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.evals.memorisation import exposure, summarise_memorisation
from picochat.evals.statistics import newcombe, wilson


@pytest.mark.parametrize(
    ("rank", "candidates", "bits"), [(1, 4096, 12.0), (2, 4096, 11.0), (4096, 4096, 0.0), (1, 2, 1.0), (16, 256, 4.0)]
)
def test_exposure_of_known_ranks(rank, candidates, bits):
    references = [1.0] * (rank - 1) + [-1.0] * (candidates - rank)
    assert exposure(0.0, references) == pytest.approx(bits)


def test_ties_count_half_so_a_model_without_opinion_has_about_one_bit():
    assert exposure(0.0, [0.0] * 4095) == pytest.approx(12 - math.log2(1 + 4095 / 2))
    assert exposure(0.0, []) == 0.0


def test_a_fact_that_is_not_known_has_a_bit_and_a_half_on_average():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 1024))
    found = [exposure(row[0], row[1:].tolist()) for row in values]
    assert np.mean(found) == pytest.approx(1 / math.log(2), abs=0.25)


def passage(side, wanted, reply, number=0):
    return {"kind": "passage", "model": "base", "side": side, "document": number, "wanted": wanted, "reply": reply}


def test_the_share_of_exact_continuations_and_its_difference():
    rows = [passage("train", [1, 2], [1, 2])] * 3 + [passage("train", [1, 2], [1, 3]), passage("train", [1, 2], [1])]
    rows += [passage("val", [4, 5], [4, 6])] * 4
    found = summarise_memorisation(rows)["extractable"]
    assert (found["train"]["k"], found["train"]["n"], found["val"]["k"], found["val"]["n"]) == (3, 5, 0, 4)
    assert found["difference"] == 0.6 and found["interval"] == list(newcombe(3, 5, 0, 4))
    assert summarise_memorisation(rows[:5])["extractable"]["interval"] is None


def test_exposure_is_given_by_copies_and_never_mixed():
    rows = [
        {"kind": "canary", "model": "base", "copies": copies, "logprob": logprob, "references": [-2.0, -3.0, -4.0]}
        for copies, logprob in ((1, -5.0), (1, -1.0), (16, -1.0))
    ]
    found = summarise_memorisation(rows)["canaries"]
    assert found["candidates"] == 4 and list(found["by_copies"]) == ["1", "16"]
    assert found["by_copies"]["1"] == {"n": 2, "mean": 1.0, "least": 0.0, "most": 2.0}
    assert found["by_copies"]["16"]["mean"] == 2.0


def test_losses_are_over_tokens_with_an_error_over_documents():
    rows = [
        {"kind": "loss", "model": "base", "side": side, "document": n, "tokens": tokens, "nats": nats}
        for side, values in (("train", [(10, 20.0), (30, 30.0)]), ("val", [(10, 30.0), (10, 30.0)]))
        for n, (tokens, nats) in enumerate(values)
    ]
    found = summarise_memorisation(rows)["loss"]
    assert found["train"]["loss"] == 1.25 and found["val"] == {"documents": 2, "tokens": 20, "loss": 3.0, "se": 0.0}
    # Residuals of the ratio: 20 - 12.5 and 30 - 37.5, so sqrt(112.5 * 2 / 1) / 40.
    assert found["train"]["se"] == pytest.approx(15 / 40)
    assert found["gap"] == 1.75 and found["interval"] == pytest.approx([1.75 - 1.96 * 0.375, 1.75 + 1.96 * 0.375])


def test_without_rows_nothing_was_measured():
    found = summarise_memorisation([])
    assert found["extractable"]["difference"] is None and found["canaries"]["by_copies"] == {}
    assert found["copied"]["longest_words"] is None and found["loss"]["gap"] is None


@pytest.mark.parametrize(
    ("row", "error"), [({"kind": "other"}, ValueError), ({"kind": "passage"}, KeyError), ({}, KeyError)]
)
def test_a_row_that_says_something_else_is_no_evidence(row, error):
    with pytest.raises(error):
        summarise_memorisation([row])


def test_newcombe_gives_the_published_intervals():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/20."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert newcombe(10, 10, 0, 20) == pytest.approx((0.6791, 1.0), abs=5e-5)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_newcombe_holds_the_difference_and_turns_with_its_sides(k1, n1, k2, n2):
    k1, k2 = min(k1, n1), min(k2, n2)
    low, high = newcombe(k1, n1, k2, n2)
    assert -1 <= low <= k1 / n1 - k2 / n2 <= high <= 1
    assert newcombe(k2, n2, k1, n1) == pytest.approx((-high, -low))
    assert high - low <= sum(high - low for low, high in (wilson(k1, n1), wilson(k2, n2))) + 1e-12


def test_newcombe_needs_trials():
    with pytest.raises(ValueError, match="trials"):
        newcombe(0, 0, 1, 2)
