import numpy as np
import pytest
from tests.unit.data.duplicates.made import made_corpus

from picochat.data.duplicates import verification
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.shingles import jaccard, shingle_one
from picochat.data.duplicates.verification import Verifier

CONFIG = DuplicatesConfig()


@pytest.mark.parametrize(("cache", "characters"), [(1 << 20, 1 << 20), (200, 500), (0, 1)])
def test_similarities_do_not_depend_on_what_is_remembered(monkeypatch, cache, characters):
    monkeypatch.setattr(verification, "CACHE_HASHES", cache)
    monkeypatch.setattr(verification, "CHARACTERS_AT_ONCE", characters)
    forms = made_corpus(1, n=20)
    sets = [shingle_one(form, CONFIG) for form in forms]
    a, b = np.triu_indices(20, 1)
    verifier = Verifier(forms.__getitem__, CONFIG)
    expected = [jaccard(sets[i], sets[j]) for i, j in zip(a, b, strict=True)]
    assert verifier.similarities(a, b).tolist() == expected
    assert verifier.compared == len(a)


def test_a_text_that_is_remembered_is_not_read_again_and_memory_is_bounded(monkeypatch):
    forms = made_corpus(2, n=30, length=100)
    read = []
    verifier = Verifier(lambda i: read.append(i) or forms[i], CONFIG)
    verifier.preload([3, 4])
    verifier.similarities(np.array([3, 3, 5]), np.array([4, 5, 4]))
    assert sorted(read) == [3, 4, 5]
    monkeypatch.setattr(verification, "CACHE_HASHES", 500)
    monkeypatch.setattr(verification, "CHARACTERS_AT_ONCE", 1000)
    for number in range(29):
        verifier.similarities(np.array([number]), np.array([number + 1]))
        assert sum(map(len, verifier._sets.values())) <= 500 + 2 * 96


def test_the_least_recently_used_set_is_forgotten_first(monkeypatch):
    forms = made_corpus(3, n=4, length=104)  # about 100 shingles each
    read = []
    monkeypatch.setattr(verification, "CACHE_HASHES", 250)
    verifier = Verifier(lambda i: read.append(i) or forms[i], CONFIG)
    for document in (0, 1, 0, 2, 0, 3, 0):
        verifier.preload([document])
    assert read == [0, 1, 2, 3]
