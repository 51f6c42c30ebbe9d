"""How a choice picks its next token."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.inference.engine.request import Sampling
from picochat.inference.engine.sampling import Sampler, draw, keep_likeliest


def logs(*probs):
    return np.log(np.array(probs, np.float64))


def kept(scores, **sampling):
    probs = np.exp(scores - scores.max())
    ids = keep_likeliest(probs, Sampling(temperature=1, **sampling))
    return None if ids is None else sorted(ids.tolist())


def test_filters_keep_what_they_say():
    scores = logs(0.15, 0.5, 0.05, 0.3)
    assert kept(scores) is None
    assert kept(scores, top_k=2) == [1, 3]
    assert kept(scores, top_k=9) is None
    for top_p, count in ((0, 1), (0.4, 1), (0.6, 2), (0.79, 2), (0.9, 3)):
        assert len(kept(scores, top_p=top_p)) == count
    # of the two that top_k leaves, the first has 0.5 / 0.8 of the mass
    assert kept(scores, top_k=2, top_p=0.62) == [1]
    assert kept(scores, top_k=2, top_p=0.63) == [1, 3]
    assert kept(scores, min_p=0.29) == [0, 1, 3]
    assert kept(scores, min_p=0.31) == [1, 3]
    assert kept(scores, top_p=0.9, min_p=0.5) == [1, 3]


def test_top_p_over_a_flat_vocabulary_looks_beyond_the_first_candidates():
    assert len(kept(np.zeros(4000), top_p=0.5)) == 2000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=40),
    st.integers(0, 50),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_no_dropped_token_is_likelier_than_a_kept_one(values, top_k, top_p, min_p, number):
    scores = np.array(values)
    ids = kept(scores, top_k=top_k, top_p=top_p, min_p=min_p)
    sampling = Sampling(temperature=1, top_k=top_k, top_p=top_p, min_p=min_p)
    picked = draw(scores, sampling, number)
    if ids is None:
        ids = list(range(len(values)))
    assert picked in ids
    dropped = [values[index] for index in range(len(values)) if index not in ids]
    assert not dropped or min(values[index] for index in ids) >= max(dropped) - 1e-9


def test_frequencies_follow_the_probabilities():
    scores = logs(0.5, 0.3, 0.15, 0.05).astype(np.float32)
    for sampling, wanted in (
        (Sampling(temperature=1), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(temperature=1, top_k=2), [0.625, 0.375, 0, 0]),
        (Sampling(temperature=0.5), [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
    ):
        sampler = Sampler(sampling, [])
        counts = np.bincount([sampler.pick(scores) for _ in range(4000)], minlength=4) / 4000
        assert counts.tolist() == pytest.approx(wanted, abs=0.03)


def test_a_number_of_nearly_one_falls_on_a_possible_token():
    scores = np.array([0.0, 0.0, -800.0])
    assert draw(scores, Sampling(temperature=1), 1 - 2**-53) == 1


def test_bias_and_penalties_come_before_the_pick():
    scores = np.array([1.0, 2.0, 3.0, -1.0], np.float32)
    assert Sampler(Sampling(), []).pick(scores) == 2
    assert Sampler(Sampling(logit_bias={0: 5.0}), []).pick(scores) == 0
    assert Sampler(Sampling(logit_bias={2: -100.0}), []).pick(scores) == 1
    # the repetition penalty knows the prompt, the other two only what was generated
    assert Sampler(Sampling(repetition_penalty=2.0), [2]).pick(scores) == 1
    frequency = Sampler(Sampling(frequency_penalty=0.6), [2, 2, 2])
    assert [frequency.pick(scores) for _ in range(4)] == [2, 2, 1, 2]
    presence = Sampler(Sampling(presence_penalty=1.5), [2])
    assert [presence.pick(scores) for _ in range(4)] == [2, 1, 2, 2]
    assert scores.tolist() == [1.0, 2.0, 3.0, -1.0], "the scores of the caller were changed"


def test_a_penalty_makes_a_negative_score_smaller():
    scores = np.array([-1.0, -1.5], np.float32)
    assert Sampler(Sampling(repetition_penalty=2.0), [0]).pick(scores) == 1


def test_seeds_and_nothing_else_decide_the_draws():
    scores = np.zeros(1000, np.float32)

    def picks(seed):
        sampler = Sampler(Sampling(temperature=1, seed=seed), [])
        return [sampler.pick(scores) for _ in range(20)]

    assert picks(7) == picks(7) != picks(8)
    assert picks(-7) != picks(7)


@pytest.mark.parametrize("temperature", [0.0, 9e-6, 1.0])
def test_scores_that_mean_nothing_are_refused(temperature):
    sampler = Sampler(Sampling(temperature=temperature), [])
    for bad in ([1.0, float("nan")], [float("-inf")] * 2, [float("inf"), 0.0]):
        with pytest.raises(FloatingPointError):
            sampler.pick(np.array(bad, np.float32))


def test_only_plain_requests_take_the_short_way():
    assert Sampler(Sampling(temperature=9e-6, top_k=3, top_p=0.5), []).plain_greedy
    for other in ({"temperature": 1e-5}, {"logit_bias": {1: 1.0}}, {"presence_penalty": 0.1}):
        assert not Sampler(Sampling(**other), []).plain_greedy
    assert not Sampler(Sampling(frequency_penalty=-0.1), []).plain_greedy
    assert not Sampler(Sampling(repetition_penalty=1.1), []).plain_greedy
