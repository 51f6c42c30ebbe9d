"""Many requests at once get the answers that they get alone."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from tests.support.engines import VOCAB_SIZE, answer, build_codec, build_engine, build_telling_model

from picochat.inference.engine.request import Request, Sampling
from picochat.inference.engine.sampling import Sampler

pytestmark = pytest.mark.integration
TOLERANCE = 1e-4
NOISES = 64


@pytest.fixture(scope="module")
def codec():
    return build_codec()


def random_requests(count, codec, seed=0):
    """Mixed lengths, ways of sampling, ends, stop strings and scored prompts."""
    rng = random.Random(seed)
    words = [codec.piece(token).decode("utf-8", "ignore") for token in range(codec.vocab_size)]
    stops = [word for word in words if word.isascii() and word.isalpha() and len(word) > 1]
    found = []
    for number in range(count):
        prompt = [rng.randrange(VOCAB_SIZE) for _ in range(rng.choice([1, 2, 5, 20, 63, 64, 65, 100]))]
        greedy = rng.random() < 0.3
        sampling = Sampling(
            temperature=0.0 if greedy else rng.choice([0.5, 1.0, 1.5]),
            top_k=rng.choice([0, 0, 5, 40]),
            top_p=rng.choice([1.0, 0.9, 0.5]),
            min_p=rng.choice([0.0, 0.0, 0.05]),
            repetition_penalty=rng.choice([1.0, 1.0, 1.2]),
            presence_penalty=rng.choice([0.0, 0.0, 0.5]),
            frequency_penalty=rng.choice([0.0, 0.0, 0.5]),
            logit_bias=rng.choice([{}, {}, {number: 2.0}]),
            seed=number,
        )
        found.append(
            Request(
                prompt,
                rng.randint(1, 128 - len(prompt)),
                sampling,
                stop=tuple(rng.sample(stops, rng.choice([0, 0, 2]))),
                end_ids=frozenset(rng.sample(range(VOCAB_SIZE), rng.choice([0, 3]))),
                logprobs=rng.choice([None, None, 2]),
                prompt_logprobs=rng.choice([None, None, 0]),
            )
        )
    return found


@torch.no_grad()
def is_near_tie(model, request, made):
    """Whether noise within the tolerance on the scores after `made` tokens gives more than one pick."""
    ids = [*request.prompt_ids, *made]
    row_V = model.logits(model(torch.tensor([ids]))[:, -1])[0].numpy()
    rng = np.random.default_rng(0)
    picks = set()
    for number in range(NOISES):
        sampler = Sampler(dataclasses.replace(request.sampling), request.prompt_ids)
        noise_V = rng.choice([-TOLERANCE, 0.0, TOLERANCE], row_V.shape) if number else np.zeros(row_V.shape)
        picks.add(repeat_to(sampler, made, (row_V + noise_V).astype(np.float32)))
    return len(picks) > 1


def repeat_to(sampler, made, row_V):
    """The pick after the tokens of an answer were counted and its numbers drawn."""
    for token in made:
        if sampler._sampling.temperature >= 1e-5:
            sampler._rng.random()
        sampler._count(token)
    return sampler.pick(row_V)


def compare(model, request, alone, together):
    """How the two answers agree: "equal", or "near tie" where the first difference is one; fails otherwise."""
    if alone == together:
        return "equal"
    (tokens, *_), (others, *_) = alone, together
    place = next(
        (n for n, (a, b) in enumerate(zip(tokens, others, strict=False)) if a != b), min(len(tokens), len(others))
    )
    assert is_near_tie(model, request, tokens[:place]), (request, place, alone, together)
    return "near tie"


def outcome(found, index):
    return found.tokens(index), found.text(index), found.finish(index)


@pytest.mark.parametrize("residual", ["parallel", "sequential"])
def test_64_requests_get_the_answers_that_they_get_alone(residual, codec):
    model = build_telling_model(21, residual=residual)
    requests = random_requests(64, codec)
    with build_engine(model, codec, slots=1) as engine:
        alone = [outcome(answer(engine, [request]), 0) for request in requests]
    assert {finish for _, _, finish in alone} == {"stop", "length"}
    assert sum(len(tokens) for tokens, _, _ in alone) > 1000 and len({t for ts, _, _ in alone for t in ts}) > 200
    for slots in (4, 8, 16):
        with build_engine(model, codec, slots=slots) as engine:
            found = answer(engine, requests)
            assert engine.stats().busy_slots == 0
        verdicts = [
            compare(model, request, alone[index], outcome(found, index)) for index, request in enumerate(requests)
        ]
        assert verdicts.count("equal") >= 62, (slots, verdicts)


@pytest.mark.parametrize("residual", ["parallel", "sequential"])
def test_prompt_scores_do_not_depend_on_the_neighbours(residual, codec):
    model = build_telling_model(22, residual=residual)
    requests = [dataclasses.replace(r, prompt_logprobs=1) for r in random_requests(12, codec, seed=5)]
    with build_engine(model, codec, slots=1) as engine:
        alone = [answer(engine, [request]).pieces[0][0].prompt for request in requests]
    with build_engine(model, codec, slots=8) as engine:
        found = answer(engine, requests)
    for index, scores in enumerate(alone):
        together = found.pieces[index][0].prompt
        assert [s.token for s in together] == [s.token for s in scores] == list(requests[index].prompt_ids)
        for mine, other in zip(scores[1:], together[1:], strict=True):
            assert mine.logprob == pytest.approx(other.logprob, abs=TOLERANCE)


def test_the_comparison_can_fail(codec):
    model = build_telling_model(21)
    request = Request([5, 6], 10)
    with build_engine(model, codec, slots=1) as engine:
        right = outcome(answer(engine, [request]), 0)
    wrong = ([*right[0][:4], (right[0][4] + 1) % VOCAB_SIZE, *right[0][5:]], *right[1:])
    with pytest.raises(AssertionError):
        compare(model, request, right, wrong)
