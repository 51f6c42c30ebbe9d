import math

import numpy as np
import pytest
import torch
from tests.support.chat_run import build_model

from picochat.core.errors import PicochatError
from picochat.inference.scoring import ValidationSet, score_texts, score_validation

BOS, EOS, PAD = 60, 61, 62
VOCAB = 64
TOKEN_BYTES = np.array([1 + i % 3 for i in range(60)] + [0] * 4)


@pytest.fixture(scope="module")
def model():
    return build_model(vocab_size=VOCAB, max_seq_len=48)


def build_documents(count=12, seed=0):
    rng = np.random.default_rng(seed)
    return [[BOS, *rng.integers(0, 60, int(rng.integers(1, 70))).tolist(), EOS] for _ in range(count)]


def plain_nats(model, ids):
    """Cross-entropy of ids[1:] one text at a time, by torch's own function."""
    logits = model.logits(model(torch.tensor([ids[:-1]])))[0]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").double()


def validation(documents, row_tokens=16, **options):
    return ValidationSet(documents, row_tokens=row_tokens, pad=PAD, token_bytes=TOKEN_BYTES, **options)


@torch.no_grad()
def test_validation_is_the_sum_over_windows_of_whole_documents(model):
    documents = build_documents()
    windows = [ids[i : i + 17] for ids in documents for i in range(0, len(ids) - 1, 16)]
    nats = torch.cat([plain_nats(model, window) for window in windows])
    targets = torch.tensor([target for window in windows for target in window[1:]])
    sizes = torch.tensor(TOKEN_BYTES)[targets]

    result = score_validation(model, validation(documents), batch_size=4)

    assert result.tokens == len(nats) == sum(len(ids) - 1 for ids in documents)
    assert result.bytes == int(sizes.sum())
    assert result.documents == len(documents)
    assert result.loss == pytest.approx(float(nats.mean()), rel=1e-5)
    text_nats = float(nats[sizes > 0].sum())
    assert result.bpb == pytest.approx(text_nats / math.log(2) / result.bytes, rel=1e-5)
    assert text_nats < float(nats.sum()), "the EOS targets are in the loss and not in bpb"


def test_standard_errors_are_over_documents(model):
    documents = build_documents()
    each = [score_validation(model, validation([ids]), batch_size=64) for ids in documents]
    result = score_validation(model, validation(documents), batch_size=64)
    n = len(documents)
    squares = sum((r.loss * r.tokens - result.loss * r.tokens) ** 2 for r in each)
    assert result.loss_se == pytest.approx(math.sqrt(squares * n / (n - 1)) / result.tokens, rel=1e-4)
    squares = sum(((r.bpb - result.bpb) * r.bytes) ** 2 for r in each)
    assert result.bpb_se == pytest.approx(math.sqrt(squares * n / (n - 1)) / result.bytes, rel=1e-4)
    assert score_validation(model, validation(documents * 4), batch_size=64).loss_se < result.loss_se
    assert each[0].loss_se == 0


def test_batch_size_and_order_of_packing_change_nothing(model):
    documents = build_documents()
    results = [score_validation(model, validation(documents), batch_size=size) for size in (1, 3, 1000)]
    for result in results[1:]:
        assert result.loss == pytest.approx(results[0].loss, rel=1e-6)
        assert result.bpb_se == pytest.approx(results[0].bpb_se, rel=1e-4)
        assert (result.tokens, result.bytes) == (results[0].tokens, results[0].bytes)


def test_every_batch_has_the_same_shape(model):
    shapes = set()
    hook = model.register_forward_pre_hook(lambda module, args: shapes.add(tuple(args[0].shape)))
    score_validation(model, validation(build_documents()), batch_size=7)
    hook.remove()
    assert shapes == {(7, 16)}


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_comes_back(model, training):
    model.train(training)
    score_validation(model, validation(build_documents(2)), batch_size=4)
    score_texts(model, [([BOS], [1, 2])])
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_target_is_refused():
    with pytest.raises(PicochatError) as err:
        validation([])
    assert err.value.code == "data.no_val"


@torch.no_grad()
def test_score_texts_sums_the_continuation_only(model):
    rng = np.random.default_rng(1)
    items = [
        (
            [BOS, *rng.integers(0, 60, int(rng.integers(0, 9))).tolist()],
            rng.integers(0, 60, int(rng.integers(1, 20))).tolist(),
        )
        for _ in range(40)
    ]
    wanted = [-float(plain_nats(model, [*p, *c])[len(p) - 1 :].sum()) for p, c in items]
    for batch_tokens in (1, 100, 100_000):
        assert score_texts(model, items, batch_tokens=batch_tokens) == pytest.approx(wanted, rel=1e-5)


def test_score_texts_edges(model):
    assert score_texts(model, []) == []
    assert score_texts(model, [([BOS, 1], [])]) == [0.0]
    assert score_texts(model, [([BOS], [1] * 48)])[0] < 0
    with pytest.raises(PicochatError) as err:
        score_texts(model, [([BOS], [1] * 49)])
    assert err.value.code == "eval.too_long"
    assert "49" in err.value.detail and "48" in err.value.detail
    with pytest.raises(ValueError, match="prompt"):
        score_texts(model, [([], [1])])
