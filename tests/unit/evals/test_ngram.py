"""The n-gram baselines against a slow and plain Witten-Bell, and the laws that any distribution keeps."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.evals.ngram import count_ngrams, iter_nats, ngram_baselines

BOS, EOS, VOCAB = 0, 1, 7
Docs = list[list[int]]


class PlainWittenBell:
    """Dictionaries and recursion, no packing: the reference."""

    def __init__(self, docs: Docs, vocab_size: int, order: int) -> None:
        self.vocab_size, self.order = vocab_size, order
        self.seen: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for doc in docs:
            for i in range(1, len(doc)):
                for size in range(min(order - 1, i) + 1):
                    self.seen[tuple(doc[i - size : i])][doc[i]] += 1

    def probability(self, context: tuple[int, ...], token: int) -> float:
        context = context[-(self.order - 1) :] if self.order > 1 else ()
        lower = 1 / self.vocab_size if not context else self.probability_of(context[1:], token)
        return self.mix(context, token, lower)

    def probability_of(self, context: tuple[int, ...], token: int) -> float:
        lower = 1 / self.vocab_size if not context else self.probability_of(context[1:], token)
        return self.mix(context, token, lower)

    def mix(self, context: tuple[int, ...], token: int, lower: float) -> float:
        counts = self.seen.get(context)
        if not counts:
            return lower
        return (counts[token] + len(counts) * lower) / (sum(counts.values()) + len(counts))


def arrays(docs: Docs) -> list[np.ndarray]:
    return [np.array(doc, dtype=np.uint16) for doc in docs]


def all_nats(train: Docs, val: Docs, vocab_size: int = VOCAB, order: int = 4) -> list[np.ndarray]:
    return list(iter_nats(count_ngrams(arrays(train), vocab_size, order), arrays(val)))


documents = st.lists(
    st.lists(st.integers(2, VOCAB - 1), max_size=12).map(lambda body: [BOS, *body, EOS]), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(documents, documents)
def test_agrees_with_the_plain_reference(train: Docs, val: Docs) -> None:
    nats = all_nats(train, val)
    assert len(nats) == 5
    for order in range(1, 5):
        reference = PlainWittenBell(train, VOCAB, order)
        expected = [-math.log(reference.probability(tuple(doc[:i]), doc[i])) for doc in val for i in range(1, len(doc))]
        assert nats[order] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("context", [[BOS], [BOS, 2], [BOS, 2, 3], [BOS, 3, 2, 3, 4], [BOS, 6, 6, 6], [BOS, 2, 6]])
def test_probabilities_sum_to_one_over_the_vocabulary(context: list[int]) -> None:
    train = [[BOS, 2, 3, 4, 2, 3, 5, EOS], [BOS, 3, 2, 3, 4, 4, EOS]]
    nats = all_nats(train, [[*context, token] for token in range(VOCAB)])
    for order in nats:
        last = order.reshape(VOCAB, len(context))[:, -1]
        assert np.exp(-last).sum() == pytest.approx(1, abs=1e-12)


def test_uniform_is_log_of_the_vocabulary_whatever_was_trained() -> None:
    counted = np.arange(VOCAB) > EOS
    result = ngram_baselines(arrays([[BOS, 2, EOS]]), arrays([[BOS, 3, 4, EOS]]), VOCAB, 6, counted=counted)
    assert list(result) == ["uniform", "unigram", "bigram", "trigram", "4-gram"]
    assert result["uniform"]["nats_per_token"] == pytest.approx(math.log(VOCAB), abs=1e-12)
    assert result["uniform"]["bpb"] == pytest.approx(2 * math.log2(VOCAB) / 6, abs=1e-12)


def test_targets_without_bytes_are_predicted_but_not_summed() -> None:
    train, val = [[BOS, 2, 2, 2, EOS]], [[BOS, 2, EOS]]
    with_eos = ngram_baselines(arrays(train), arrays(val), VOCAB, 1, counted=np.ones(VOCAB, dtype=bool))
    without = ngram_baselines(arrays(train), arrays(val), VOCAB, 1, counted=np.arange(VOCAB) > EOS)
    eos_given_2 = -math.log(PlainWittenBell(train, VOCAB, 2).probability((2,), EOS))
    assert with_eos["bigram"]["bpb"] * math.log(2) - without["bigram"]["bpb"] * math.log(2) == pytest.approx(
        eos_given_2
    )
    with pytest.raises(ValueError, match="nothing to measure"):
        ngram_baselines(arrays(train), arrays(val), VOCAB, 1, counted=np.zeros(VOCAB, dtype=bool))


def test_context_never_reaches_over_a_document_start() -> None:
    joined = all_nats([[BOS, 2, 3, EOS], [BOS, 4, 5, EOS]], [[BOS, 4, 5, EOS]])
    swapped = all_nats([[BOS, 4, 5, EOS], [BOS, 2, 3, EOS]], [[BOS, 4, 5, EOS]])
    for a, b in zip(joined, swapped, strict=True):
        assert a == pytest.approx(b, abs=0)


def test_training_stops_at_its_token_limit() -> None:
    train = [[BOS, 2, 3, EOS], [BOS, 4, 5, EOS]]
    counted, val = np.arange(VOCAB) > EOS, arrays([[BOS, 4, 5, EOS]])
    limited = ngram_baselines(arrays(train), val, VOCAB, 2, counted=counted, max_train_tokens=6)
    assert limited == ngram_baselines(arrays([train[0], train[1][:2]]), val, VOCAB, 2, counted=counted)


def test_the_largest_vocabulary_fits_four_orders_and_a_larger_one_drops_the_fourth() -> None:
    train = [[0, 65535, 65535, 65535, 65535, 1], [0, 65535, 1, 65535, 2, 1]]
    nats = all_nats(train, train, vocab_size=65536)
    reference = PlainWittenBell(train, 65536, 4)
    expected = [-math.log(reference.probability(tuple(d[:i]), d[i])) for d in train for i in range(1, len(d))]
    assert nats[4] == pytest.approx(expected, abs=1e-9)
    assert len(all_nats(train, train, vocab_size=65537)) == 4


def test_an_id_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside a vocabulary of 7"):
        count_ngrams(arrays([[0, 7]]), VOCAB)


def test_orders_rank_as_they_should_on_repetitive_text() -> None:
    random = np.random.RandomState(0)
    phrases = [random.randint(2, 50, size=6) for _ in range(20)]
    docs = [np.r_[0, np.concatenate([phrases[i] for i in random.randint(0, 20, size=30)]), 1] for _ in range(40)]
    result = ngram_baselines(docs[:30], docs[30:], 50, 1000, counted=np.arange(50) > 1)
    values = [result[name]["bpb"] for name in ("uniform", "unigram", "bigram", "trigram", "4-gram")]
    assert values == sorted(values, reverse=True)
