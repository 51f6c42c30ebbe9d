import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data.duplicates.made import random_words

from picochat.data.duplicates import shingles
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.forms import comparison_form
from picochat.data.duplicates.shingles import iter_pieces, jaccard, shingle_many, shingle_one

CONFIG = DuplicatesConfig()
SHORT = DuplicatesConfig(ngram_words=2, min_words=3)
TEXTS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "ab", "ba", "\u00e9", "\u4e2d"]), max_size=30).map(" ".join),
    st.text(st.sampled_from("abc\u4e2d\u6587\u5b57\u0e44\u0e17 ."), max_size=60),
    st.text(max_size=60),
).map(comparison_form)


def shingle_strings(form: str, config: DuplicatesConfig) -> set[str]:
    """The definition, string by string."""
    words = form.split(" ")
    if len(form) > 15 * len(words):
        units, n, least, glue = form.replace(" ", ""), 2 * config.ngram_words, 2 * config.min_words, ""
    else:
        units, n, least, glue = words, config.ngram_words, config.min_words, " "
    return {glue.join(units[i : i + n]) for i in range(len(units) - n + 1)} if len(units) >= least else set()


@given(TEXTS, TEXTS)
def test_the_similarity_of_hash_sets_is_that_of_the_string_sets(a, b):
    one, other = (shingle_strings(form, SHORT) for form in (a, b))
    expected = len(one & other) / len(one | other) if one and other else 0.0
    assert jaccard(shingle_one(a, SHORT), shingle_one(b, SHORT)) == expected
    assert len(shingle_one(a, SHORT)) == len(one)


@given(st.lists(TEXTS, max_size=8), st.integers(1, 40))
def test_neither_the_batch_nor_the_size_of_a_block_changes_a_set(forms, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "BLOCK_BYTES", block)
        hashes, offsets = shingle_many(forms, SHORT)
    assert offsets[0] == 0 and offsets[-1] == len(hashes) and len(offsets) == len(forms) + 1
    for number, form in enumerate(forms):
        alone = shingle_one(form, SHORT)
        assert np.array_equal(hashes[offsets[number] : offsets[number + 1]], alone)
        assert (alone[1:] > alone[:-1]).all()


def test_a_document_under_13_words_takes_no_part():
    text = random_words(np.random.default_rng(0), 13)
    assert len(shingle_one(" ".join(text), CONFIG)) == 9
    assert len(shingle_one(" ".join(text[:12]), CONFIG)) == 0
    assert len(shingle_one("", CONFIG)) == 0
    assert len(shingle_many([], CONFIG)[0]) == 0 and shingle_many([], CONFIG)[1].tolist() == [0]


@pytest.mark.parametrize(
    "text",
    [
        "\u4eca\u65e5\u306f\u5929\u6c17\u304c\u3044\u3044\u3067\u3059\u306d\u3002\u6563\u6b69\u306b\u884c\u304d\u307e\u3057\u3087\u3046\u304b\u3002\u305d\u308c\u3068\u3082",
        "\u0e27\u0e31\u0e19\u0e19\u0e35\u0e49\u0e2d\u0e32\u0e01\u0e32\u0e28\u0e14\u0e35\u0e21\u0e32\u0e01\u0e40\u0e23\u0e32\u0e44\u0e1b\u0e40\u0e14\u0e34\u0e19\u0e40\u0e25\u0e48\u0e19\u0e01\u0e31\u0e19",
    ],
    ids=["japanese", "thai"],
)
def test_text_without_word_spaces_is_cut_into_10_characters_and_its_layout_is_no_matter(text):
    form = comparison_form(text + text[::-1])
    assert len(form) >= 52
    whole = shingle_one(form, CONFIG)
    assert len(whole) == len(form) - 9
    assert np.array_equal(shingle_one(form[:16] + " " + form[16:], CONFIG), whole)
    assert len(shingle_one(form[:25], CONFIG)) == 0
    assert 0 < jaccard(whole, shingle_one(form[:-1] + "x", CONFIG)) < 1


def test_words_of_the_same_letters_in_another_order_differ():
    """A sum that forgets places would take them for one."""
    text = random_words(np.random.default_rng(1), 30)
    assert jaccard(shingle_one(" ".join(text), CONFIG), shingle_one(" ".join(w[::-1] for w in text), CONFIG)) == 0
    assert jaccard(shingle_one(" ".join(text), CONFIG), shingle_one(" ".join(text[::-1]), CONFIG)) == 0
    rotations = ["abcde"[i:] + "abcde"[:i] for i in range(5)]
    assert len(shingle_one(" ".join(rotations * 3), CONFIG)) == 5


def test_a_document_of_5_mb_is_hashed_in_bounded_memory():
    rng = np.random.default_rng(2)
    long = " ".join(random_words(rng, 1_250_000))
    assert len(long) > 4_900_000
    tracemalloc.start()
    number = sum(len(piece.hashes) for piece in iter_pieces([long], CONFIG))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 1_250_000 - 4
    assert peak < 60e6, peak


def test_one_endless_word_is_cut_into_parts_too():
    word = "".join(np.random.default_rng(3).choice(list("abcdefgh"), 300_000))
    pieces = list(iter_pieces([word, word[:100]], CONFIG))
    assert len(pieces) > 3
    assert sum(len(piece.hashes) for piece in pieces) == 300_000 - 9 + 100 - 9
