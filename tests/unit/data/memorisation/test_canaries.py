import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.data.cleaning import CleaningConfig, clean
from picochat.data.contamination.words import words_of
from picochat.data.duplicates.forms import comparison_form
from picochat.data.memorisation.canaries import make_canaries, reference_texts
from picochat.data.memorisation.config import Canaries
from picochat.data.split import document_key

WISH = Canaries(copies=[64, 1, 16, 4])


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12), st.floats(0.001, 0.5), st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True))
def test_every_canary_is_a_train_document_by_its_own_key_and_no_two_are_alike(salt, fraction, copies):
    made = make_canaries(Canaries(copies=copies, each=3), salt, fraction)
    assert [canary.copies for canary in made] == [count for count in sorted(copies) for _ in range(3)]
    assert len({canary.prefix for canary in made}) == len(made)
    for canary in made:
        assert re.fullmatch(r"Registry entry: the number of [A-Z][a-z]+ [A-Z][a-z]+ is \d{9}\.", canary.text)
        assert document_key(salt, comparison_form(canary.text)) >= fraction
        # Under 13 words nothing is sketched, so no search takes two canaries for near copies of one another.
        assert len(words_of(canary.text)) < 13


def test_the_salt_alone_decides_them_and_the_order_of_the_wish_does_not():
    assert make_canaries(WISH, "s", 0.02) == make_canaries(Canaries(copies=[1, 4, 16, 64]), "s", 0.02)
    assert {c.secret for c in make_canaries(WISH, "s", 0.02)}.isdisjoint(
        c.secret for c in make_canaries(WISH, "t", 0.02)
    )


def test_a_canary_is_text_in_normal_form():
    for canary in make_canaries(WISH, "normal", 0.02):
        found = clean(canary.text, CleaningConfig())
        assert (found.reason, found.text, found.has_secret) == (None, canary.text, False)


def test_references_are_the_same_words_with_other_digits():
    canary = make_canaries(WISH, "s", 0.02)[0]
    texts = reference_texts(canary, "s", 4095)
    assert len(set(texts)) == 4095 and canary.text not in texts
    assert all(re.fullmatch(re.escape(canary.prefix) + r"\d{9}\.", text) for text in texts)
    assert reference_texts(canary, "s", 10) == texts[:10]
    assert reference_texts(canary, "t", 10) != texts[:10]


def test_digits_are_spread_evenly():
    digits = "".join(text[-10:-1] for text in reference_texts(make_canaries(WISH, "s", 0.02)[0], "s", 4095))
    counts = [digits.count(str(digit)) / len(digits) for digit in range(10)]
    assert counts == pytest.approx([0.1] * 10, abs=0.01)
