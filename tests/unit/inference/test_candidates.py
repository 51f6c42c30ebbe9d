"""Shared prompts and followed paths give what the plain ways give."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.chat_run import build_model

from picochat.core.errors import PicochatError
from picochat.inference.candidates import score_candidates
from picochat.inference.greedy import follow_greedily
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.inference.scoring import score_texts

IDS = st.lists(st.integers(0, 63), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def model():
    return build_model(vocab_size=64, max_seq_len=48)


@settings(max_examples=25, deadline=None)
@given(IDS, st.lists(IDS, min_size=1, max_size=12), st.integers(1, 12))
def test_candidates_score_as_texts_of_their_own(model, prompt, candidates, batch_rows):
    wanted = score_texts(model, [(prompt, candidate) for candidate in candidates])
    assert score_candidates(model, prompt, candidates, batch_rows=batch_rows) == pytest.approx(wanted, abs=1e-4)


def test_candidates_that_cannot_be_scored_are_refused(model):
    assert score_candidates(model, [1], []) == []
    for prompt, candidates in (([], [[1]]), ([1], [[]])):
        with pytest.raises(ValueError, match="at least one id"):
            score_candidates(model, prompt, candidates)
    with pytest.raises(PicochatError) as caught:
        score_candidates(model, [1] * 40, [[2] * 10])
    assert caught.value.code == "eval.too_long"
    assert len(score_candidates(model, [1] * 39, [[2] * 10])) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 63), st.integers(0, 8)), min_size=1, max_size=8), st.sampled_from([1, 40, 4096])
)
def test_a_followed_path_is_the_greedy_reply_up_to_the_first_difference(model, asked, batch_tokens):
    """What should follow is the greedy reply itself, changed at one place or nowhere."""
    prompts = [[first, 5, 9] for first, _ in asked]
    replies = [reply.ids for reply in generate_batch(model, prompts, SamplingParams(max_new_tokens=8), set())]
    wanted = [
        [(token + 1) % 64 if at == place else token for at, token in enumerate(reply)]
        for reply, (_, place) in zip(replies, asked, strict=True)
    ]
    found = follow_greedily(model, list(zip(prompts, wanted, strict=True)), batch_tokens=batch_tokens)
    assert found == [reply[: place + 1] for reply, (_, place) in zip(replies, asked, strict=True)]
    for ids, aim, (_, place) in zip(found, wanted, asked, strict=True):
        assert (ids == aim) == (place == 8)


def test_paths_of_unlike_shape_and_too_long_ones_are_refused(model):
    assert follow_greedily(model, []) == []
    for items in ([([1], [2]), ([1, 2], [3])], [([], [2])], [([1], [])]):
        with pytest.raises(ValueError, match="one length"):
            follow_greedily(model, items)
    with pytest.raises(PicochatError) as caught:
        follow_greedily(model, [([1] * 40, [2] * 10)])
    assert caught.value.code == "eval.too_long"
