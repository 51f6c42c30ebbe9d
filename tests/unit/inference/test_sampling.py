import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.chat_run import build_model

from picochat.inference.sampling import Generated, SamplingParams, filtered_probs, generate_batch, pick_tokens, stream

CONTEXT = 48


@pytest.fixture(scope="module")
def model():
    model = build_model(seed=3, vocab_size=64, max_seq_len=CONTEXT)
    with torch.no_grad():
        for block in model.blocks:  # a fresh model repeats its last token; stronger blocks make it wander
            for parameter in block.parameters():
                parameter.mul_(3.0)
    return model


def build_prompts(count=20, seed=0):
    rng = random.Random(seed)
    return [[rng.randrange(64) for _ in range(rng.randint(1, 30))] for _ in range(count)]


@torch.no_grad()
def slow_greedy(model, prompt, limit, stops):
    """No cache, no padding, no batch."""
    ids = list(prompt)
    while len(ids) - len(prompt) < limit and len(ids) < CONTEXT:
        token = int(model.logits(model(torch.tensor([ids]))[:, -1]).argmax())
        if token in stops:
            return Generated(ids[len(prompt) :], True)
        ids.append(token)
    return Generated(ids[len(prompt) :], False)


def test_greedy_batches_equal_the_plain_loop_for_every_batch_size(model):
    prompts, params = build_prompts(), SamplingParams(max_new_tokens=12)
    stops = {5, 17, 40, 41, 42, 43}
    wanted = [slow_greedy(model, prompt, 12, stops) for prompt in prompts]
    lengths = {len(reply.ids) for reply in wanted if reply.finished}
    assert len(lengths) > 3 and not all(reply.finished for reply in wanted), "rows must end at different times"
    for batch_size in (1, 7, 256):
        assert generate_batch(model, prompts, params, stops, batch_size=batch_size) == wanted


def test_stream_equals_the_batch(model):
    stops = {5, 17, 40, 41}
    for prompt in build_prompts(6, seed=1):
        for params in (
            SamplingParams(max_new_tokens=9),
            SamplingParams(temperature=0.8, top_k=9, seed=4, max_new_tokens=9),
        ):
            [reply] = generate_batch(model, [prompt], params, stops)
            assert list(stream(model, prompt, params, stops)) == reply.ids


def test_the_context_ends_a_reply(model):
    params = SamplingParams(max_new_tokens=20)
    prompts = [[1] * 46, [2], [3] * CONTEXT, [4] * 60]
    replies = generate_batch(model, prompts, params, set())
    assert [len(reply.ids) for reply in replies] == [2, 20, 0, 0]
    assert not any(reply.finished for reply in replies)
    assert [len(list(stream(model, prompt, params, set()))) for prompt in prompts] == [2, 20, 0, 0]


def test_sampling_depends_on_the_seed_and_not_on_the_batch(model):
    prompts = build_prompts(12)
    first = SamplingParams(temperature=1.0, seed=1, max_new_tokens=6)
    replies = generate_batch(model, prompts, first, set(), batch_size=12)
    assert generate_batch(model, prompts, first, set(), batch_size=5) == replies
    other = SamplingParams(temperature=1.0, seed=2, max_new_tokens=6)
    assert generate_batch(model, prompts, other, set()) != replies
    same = generate_batch(model, [prompts[0]] * 8, first, set())
    assert len({tuple(reply.ids) for reply in same}) > 1, "equal prompts of a batch draw different numbers"


def test_frequencies_follow_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(4000, 4)
    rngs = [random.Random(index) for index in range(4000)]
    picked = pick_tokens(logits, SamplingParams(temperature=1.0), rngs)
    shares = torch.bincount(picked, minlength=4) / 4000
    assert shares.tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-8, 8), min_size=2, max_size=12),
    st.integers(0, 6),
    st.floats(0.05, 1.0),
    st.floats(0.2, 3.0),
    st.floats(0, 1, exclude_max=True),
)
def test_filters_keep_the_likeliest(values, top_k, top_p, temperature, draw):
    logits = torch.tensor([values])
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p)
    probs = filtered_probs(logits, params)[0]
    kept = (probs > 0).nonzero().flatten().tolist()
    assert float(probs.sum()) == pytest.approx(1.0)
    assert kept and (not top_k or len(kept) <= top_k)
    dropped = [values[i] for i in range(len(values)) if i not in kept]
    assert not dropped or min(values[i] for i in kept) >= max(dropped) - 1e-6

    class Fixed(random.Random):
        def random(self):
            return draw

    assert int(pick_tokens(logits, params, [Fixed()])) in kept


def test_top_p_keeps_the_fewest_that_reach_it():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    for top_p, count in ((0.4, 1), (0.6, 2), (0.79, 2), (0.9, 3), (1.0, 4)):
        probs = filtered_probs(logits, SamplingParams(temperature=1.0, top_p=top_p))
        assert int((probs > 0).sum()) == count
    both = filtered_probs(logits, SamplingParams(temperature=1.0, top_k=2, top_p=0.6))
    assert both[0].tolist() == pytest.approx([1.0, 0, 0, 0]), "top_p counts what top_k left: .5 of .8 reaches .6"


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"max_new_tokens": 0}]
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(ValueError, match="outside"):
        SamplingParams(**wrong)


def test_edges(model):
    params, seen = SamplingParams(max_new_tokens=2), []
    assert generate_batch(model, [], params, set()) == []
    generate_batch(model, [[1], [2], [3]], params, set(), batch_size=2, on_progress=seen.append)
    assert seen == [2, 3]
    with pytest.raises(ValueError, match="prompt"):
        generate_batch(model, [[1], []], params, set())
    with pytest.raises(ValueError, match="prompt"):
        next(stream(model, [], params, set()))
