"""Continuations that a model is led along: the sums of `score_texts`, and what greedy generation would have said."""

import pytest
import torch
from tests.support.chat_run import build_model

from picochat.inference.forced import force_texts
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.inference.scoring import score_texts

ITEMS = [([1, 2, 3], [4, 5]), ([7], [8]), ([1, 2], [9, 10, 11, 12]), ([5, 6, 7, 8, 9], [1])]


def test_the_sums_are_those_of_the_scores_whatever_the_batch():
    model = build_model()
    scores = score_texts(model, ITEMS)
    for batch_tokens in (1, 8, 4096):
        found = force_texts(model, ITEMS, batch_tokens=batch_tokens)
        assert [text.logprob for text in found] == pytest.approx(scores, rel=1e-5)
        assert [len(text.predicted) for text in found] == [2, 1, 4, 1]


@torch.no_grad()
def test_the_predicted_ids_are_the_likeliest_at_each_place():
    model = build_model()
    for (prompt, rest), found in zip(ITEMS, force_texts(model, ITEMS), strict=True):
        logits = model.logits(model(torch.tensor([[*prompt, *rest[:-1]]])))[0]
        assert found.predicted == logits.argmax(-1)[len(prompt) - 1 :].tolist()


def test_all_agree_exactly_when_greedy_generation_writes_the_continuation():
    model = build_model(seed=3)
    prompts = [[1, 2, 3], [9], [4, 4, 4, 4]]
    written = generate_batch(model, prompts, SamplingParams(max_new_tokens=5), stop_ids=set())
    forced = force_texts(model, [(prompt, reply.ids) for prompt, reply in zip(prompts, written, strict=True)])
    assert [text.predicted for text in forced] == [reply.ids for reply in written]
    other = [
        (prompt, [(reply.ids[0] + 1) % 288, *reply.ids[1:]]) for prompt, reply in zip(prompts, written, strict=True)
    ]
    assert all(text.predicted != rest for text, (_, rest) in zip(force_texts(model, other), other, strict=True))


def test_nothing_gives_nothing():
    assert force_texts(build_model(), []) == []
