import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.duplicates.made import made_corpus, random_words

from picochat.data.duplicates import similar
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.shingles import jaccard, shingle_one
from picochat.data.duplicates.similar import SimilarIndex

CONFIG = DuplicatesConfig()
SHORT = DuplicatesConfig(ngram_words=2, min_words=3, threshold=0.5)
FORMS = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12).map(" ".join), max_size=8)


def brute_force(forms, indexed, config):
    sets = [[shingle_one(form, config) for form in side] for side in (forms, indexed)]
    pairs = [(i, j, jaccard(a, b)) for i, a in enumerate(sets[0]) for j, b in enumerate(sets[1])]
    return [pair for pair in pairs if pair[2] >= config.threshold]


@given(FORMS, FORMS, st.integers(1, 30), st.sampled_from([1, 26]))
@settings(max_examples=60)
def test_every_pair_that_reaches_the_threshold_is_found_and_no_other(forms, indexed, at_once, filter_bits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "COUNTED_AT_ONCE", at_once)
        patch.setattr(similar, "_MOST_FILTER_BITS", filter_bits)
        index = SimilarIndex.build(enumerate(indexed), SHORT)
        assert index.find(forms) == brute_force(forms, indexed, SHORT)
    assert index.n_indexed + index.n_short == len(indexed)


def test_real_sized_documents_under_their_own_numbers():
    forms = made_corpus(21, n=120)
    index = SimilarIndex.build(((1000 + number, forms[number]) for number in range(40)), CONFIG)
    expected = [(i, 1000 + j, s) for i, j, s in brute_force(forms, forms[:40], CONFIG)]
    assert index.find(forms) == expected and len(expected) > 50
    assert pickle.loads(pickle.dumps(index)).find(forms) == expected


def test_a_pair_of_exactly_the_threshold_is_found():
    text = random_words(np.random.default_rng(1), 54)
    whole, part, less = (" ".join(text[:n]) for n in (54, 34, 33))  # 50, 30 and 29 shingles
    assert SimilarIndex.build([(7, whole)], CONFIG).find([part, less]) == [(0, 7, 0.6)]
    assert SimilarIndex.build([(7, part)], CONFIG).find([less, whole]) == [(0, 7, 29 / 30), (1, 7, 0.6)]


def test_what_does_not_fit_under_the_bound_is_counted():
    rng = np.random.default_rng(0)
    forms = [" ".join(random_words(rng, n)) for n in (54, 34, 14, 5)]  # 50, 30 and 10 shingles, and none
    index = SimilarIndex.build(enumerate(forms), CONFIG, max_shingles=60)
    assert (index.n_indexed, index.n_left_out, index.n_short) == (2, 1, 1)
    assert [match.member for match in index.find(forms)] == [0, 2]


def test_an_empty_index_and_an_empty_batch():
    assert SimilarIndex.build([], CONFIG).find(made_corpus(1, n=3)) == []
    assert SimilarIndex.build(enumerate(made_corpus(1, n=3)), CONFIG).find([]) == []
